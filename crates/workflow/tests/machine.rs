//! The machine under any order of answers: it ends, it never uses a number twice, and a run that is
//! folded again is the same run.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;

use impasto_catalog::Catalog;
use impasto_domain::{
    AssetRef, Candidate, Decision, Digest, Error, ErrorKind, InstanceKey, MediaFacts, ModelId,
    Money, OfferId, ProviderId, Tier, Value, Values,
};
use impasto_workflow::{Command, Event, Outcome, Plan, State, apply};
use proptest::prelude::*;

const WORKFLOW: &str = r#"
workflow: w
version: 1
steps:
  draft:
    each: [one, two, three]
    vary: { seed: [1, 2] }
    task: text-to-image
    input: { prompt: "{{ item }}", seed: "{{ vary.seed }}" }
  score:
    each: draft
    task: score-image
    input: { image: "{{ steps.draft.images[0] }}" }
  best: { pick: draft, by: "{{ steps.score.score }}" }
  large:
    each: best
    when: "{{ index < 2 }}"
    task: upscale-image
    input: { image: "{{ steps.best.images[0] }}" }
  sheet:
    task: contact-sheet
    input: { images: "{{ steps.draft.images | flatten | flatten }}" }
outputs:
  sheet: "{{ steps.sheet.image }}"
"#;

fn plan() -> Arc<Plan> {
    Arc::new(Plan::compile(WORKFLOW, &Catalog::embedded().unwrap().tasks).unwrap().0)
}

fn decision(priced: bool) -> Decision {
    let candidate = |name: &str| Candidate {
        offer: OfferId::new(name),
        model: ModelId::new(name),
        provider: ProviderId::new("p"),
        version: "1".into(),
        tier: Tier::Draft,
        cost: Money::micros(if priced { 5 } else { 0 }),
        is_unpriced: false,
        time_ms: 1,
        reason: String::new(),
    };
    Decision {
        task: "t".into(),
        ranked: vec![candidate("first"), candidate("second")],
        excluded: Vec::new(),
        absent: Vec::new(),
        catalog_revision: String::new(),
    }
}

fn output(key: &InstanceKey) -> Values {
    let asset = AssetRef {
        digest: Digest::of(key.to_string().as_bytes()),
        media_type: "image/png".into(),
        facts: MediaFacts::default(),
    };
    let score = f64::from(key.index.iter().sum::<u32>());
    Values::from([
        ("images".to_owned(), Value::List(vec![asset.clone().into()])),
        ("image".to_owned(), asset.into()),
        ("score".to_owned(), Value::from(score)),
    ])
}

/// How the world answers a command; `dice` decides. A started attempt is answered later.
fn answers(state: &State, command: &Command, dice: u8) -> Vec<Event> {
    match command {
        Command::Decide { key, .. } => {
            vec![Event::Decided { key: key.clone(), decision: decision(dice.is_multiple_of(2)) }]
        }
        Command::Wait { key, attempt, .. } => {
            vec![Event::TimerFired { key: key.clone(), attempt: *attempt }]
        }
        Command::Attempt { key, attempt, candidate, .. } if state.may_start(key, *attempt) => {
            let (key, attempt, offer) = (key.clone(), *attempt, candidate.offer.clone());
            let failed = |kind: ErrorKind, retry: bool| {
                let error = Error { retry, ..Error::new(kind, "told to") };
                Event::AttemptFailed {
                    key: key.clone(),
                    attempt,
                    error,
                    cost: Money::ZERO,
                    time_ms: 1,
                }
            };
            let ended = match dice {
                0..170 => Event::AttemptDone {
                    key: key.clone(),
                    attempt,
                    output: output(&key),
                    cost: Money::ZERO,
                    time_ms: 1,
                },
                170..210 => failed(ErrorKind::RateLimited, true),
                210..225 => failed(ErrorKind::Refused, false),
                225..245 => Event::AttemptLost { key: key.clone(), attempt },
                _ => failed(ErrorKind::InvalidInput, false),
            };
            vec![Event::AttemptStarted { key: key.clone(), attempt, offer }, ended]
        }
        _ => Vec::new(),
    }
}

/// Runs a workflow with dice that choose the order and the answers; gives the log and the end.
fn play(dice: &[u8]) -> (Vec<Event>, State) {
    let mut state = State::new(plan(), 7);
    let mut log = vec![Event::Started { input: Values::new() }];
    let mut open = apply(&mut state, &log[0]);
    let mut dice = dice.iter().copied().cycle();
    let mut numbers: BTreeSet<(InstanceKey, u32)> = BTreeSet::new();
    while state.outcome().is_none() {
        assert!(log.len() < 2_000, "the run does not end");
        assert!(!open.is_empty(), "nothing is left to do and the run has not ended");
        let at = usize::from(dice.next().unwrap()) % open.len();
        let command = open.swap_remove(at);
        for event in answers(&state, &command, dice.next().unwrap()) {
            if let Event::AttemptStarted { key, attempt, .. } = &event {
                assert!(
                    numbers.insert((key.clone(), *attempt)),
                    "{key} uses number {attempt} twice"
                );
            }
            open.extend(apply(&mut state, &event));
            log.push(event);
        }
    }
    (log, state)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_of_answers_ends_and_folds_again_to_the_same(dice in prop::collection::vec(any::<u8>(), 64..256), cut in 0..200_usize) {
        let (log, state) = play(&dice);
        let mut again = State::new(plan(), 7);
        log.iter().for_each(|event| drop(apply(&mut again, event)));
        prop_assert!(again == state);

        // What is outstanding after a crash is what was outstanding before it.
        let cut = cut.min(log.len());
        let fold = || {
            let mut state = State::new(plan(), 7);
            log[..cut].iter().for_each(|event| drop(apply(&mut state, event)));
            state
        };
        prop_assert_eq!(fold().pending(), fold().pending());
        prop_assert!(cut == 0 || !fold().pending().is_empty());
        if let Some(Outcome::Succeeded { output }) = state.outcome() {
            prop_assert!(output.contains_key("sheet"));
            prop_assert!(state.instances().all(|(_, instance)| instance.status.is_done()));
        }
    }

    #[test]
    fn items_flow_on_their_own(first in 0..3_u32) {
        let mut state = State::new(plan(), 7);
        let mut open = apply(&mut state, &Event::Started { input: Values::new() });
        // Only the drafts and scores of one place are answered; its picture is enlarged all the same.
        while let Some(at) = open.iter().position(|command| match command {
            Command::Decide { key, .. } | Command::Attempt { key, .. } => key.index.first() == Some(&first),
            _ => false,
        }) {
            let command = open.swap_remove(at);
            for event in answers(&state, &command, 1) {
                open.extend(apply(&mut state, &event));
            }
        }
        let large = state.instance(&InstanceKey::new("large", [first])).unwrap();
        prop_assert!(large.status.is_done());
        prop_assert!(state.outcome().is_none());
    }
}

const ASKING: &str = r#"
workflow: w
version: 1
steps:
  draft:
    task: text-to-image
    input: { prompt: a mug }
  look:
    approve: "Is {{ steps.draft.seed }} the one?"
    show: { picture: "{{ steps.draft.images[0] }}" }
  large:
    when: "{{ steps.look.approved }}"
    task: upscale-image
    input: { image: "{{ steps.draft.images[0] }}" }
outputs:
  note: "{{ steps.look.note }}"
"#;

fn asset() -> AssetRef {
    let (digest, facts) = (Digest::of(b"a picture"), MediaFacts::default());
    AssetRef { digest, media_type: "image/png".into(), facts }
}

/// Carries a run on until nothing is to be done.
fn carry_on(state: &mut State, mut commands: Vec<Command>) -> Outcome {
    while let Some(command) = commands.pop() {
        let event = match command {
            Command::Finish(outcome) => return outcome,
            Command::Decide { key, .. } => Event::Decided { key, decision: decision(false) },
            Command::Attempt { key, attempt, candidate, .. } => {
                let offer = candidate.offer;
                let started = Event::AttemptStarted { key: key.clone(), attempt, offer };
                commands.extend(apply(state, &started));
                let images = Value::List(vec![Value::from(asset())]);
                let output = Values::from([
                    ("images".to_owned(), images),
                    ("image".to_owned(), Value::from(asset())),
                    ("seed".to_owned(), Value::Integer(7)),
                ]);
                Event::AttemptDone { key, attempt, output, cost: Money::ZERO, time_ms: 1 }
            }
            _ => continue,
        };
        commands.extend(apply(state, &event));
    }
    state.outcome().cloned().unwrap()
}

#[test]
fn a_run_waits_for_a_person_and_goes_on() {
    let plan = Plan::compile(ASKING, &Catalog::embedded().unwrap().tasks).unwrap().0;
    let mut state = State::new(Arc::new(plan), 1);
    let commands = apply(&mut state, &Event::Started { input: Values::new() });
    let key = InstanceKey::new("look", []);
    let parked = Outcome::Parked { keys: vec![key.clone()] };
    assert_eq!(carry_on(&mut state, commands), parked);
    let shown = state.instance(&key).unwrap().input.clone().unwrap();
    assert_eq!(shown["question"].as_text(), Some("Is 7 the one?"));
    assert_eq!(shown["picture"].as_asset(), Some(&asset()));
    let resumed = apply(&mut state, &Event::Resumed);
    assert_eq!(carry_on(&mut state, resumed), parked, "it is asked again, nothing else is done");
    let mut other = state.clone();
    let answer = |approved, note: &str| {
        let (key, note) = (key.clone(), note.to_owned());
        Event::Answered { key, approved, note }
    };
    let commands = apply(&mut state, &answer(true, "well done"));
    let output = Values::from([("note".to_owned(), Value::from("well done"))]);
    assert_eq!(carry_on(&mut state, commands), Outcome::Succeeded { output });
    assert!(apply(&mut state, &answer(false, "late")).is_empty(), "it is answered once");
    let commands = apply(&mut other, &answer(false, "too dark"));
    let Outcome::Failed { errors } = carry_on(&mut other, commands) else { unreachable!() };
    assert!(errors[0].1.message.contains("too dark"), "{errors:?}");
}
