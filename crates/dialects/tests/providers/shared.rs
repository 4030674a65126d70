//! What all drivers share: where the key goes, what is brought once, what is sent twice, and what is
//! kept of a job.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use impasto_catalog::{AuthScheme, Base, Body, Catalog, Encoding, FileForm, FilePart, Provider};
use impasto_dialects::hosted::{Account, Ask, ByFile, Handle, Hosted, Payload, Purpose};
use impasto_domain::{AssetRef, Bench, ErrorKind, MediaFacts, MediaKind, Money, Values, Workbench};
use impasto_testkit::wire::{
    Arrived, Manner, PlainDoor, Reply, Server, SettingFn, Wire, sample_bytes, sample_of,
};
use serde_json::{Value as Json, json};

use crate::hosted;

const KEY: &str = "key-for-tests-1234567890";

/// Answers by a function of the request and how many there were before.
struct Scripted<F>(F, AtomicU32);

impl<F: Fn(&Arrived, u32) -> Reply + Send + Sync> Wire for Scripted<F> {
    fn answer(&self, arrived: &Arrived) -> Reply {
        (self.0)(arrived, self.1.fetch_add(1, Ordering::SeqCst))
    }
}

async fn server(answer: impl Fn(&Arrived, u32) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(|_| Arc::new(Scripted(answer, AtomicU32::new(0)))).await.unwrap()
}

/// A provider at a place, otherwise like one that the catalogue has.
fn provider(url: &str) -> Provider {
    let catalog = Catalog::embedded().unwrap();
    let is_like = |one: &&Provider| one.dialect == "submit-poll" && one.upload.is_some();
    let mut provider = catalog.providers.values().find(is_like).unwrap().clone();
    let base = Base { url: Some(url.to_owned()), ..Base::default() };
    provider.base = [("default".to_owned(), base)].into();
    provider
}

fn house() -> Hosted {
    let settings: SettingFn = Arc::new(|name| (!name.contains("URL")).then(|| KEY.to_owned()));
    hosted(settings, Arc::new(PlainDoor))
}

fn fine() -> Reply {
    Reply::json(200, &json!({"ok": true}))
}

async fn ask(account: &Account<'_>, ask: &Ask) -> Result<Json, impasto_domain::Error> {
    account.ask(ask, Purpose::Ask).await.map(|answer| answer.json)
}

#[tokio::test]
async fn the_key_goes_to_the_provider_and_nowhere_else() {
    let own = server(|_, _| fine()).await;
    let other = server(|_, _| fine()).await;
    let (house, mut provider) = (house(), provider(&own.url));
    {
        let account = house.account(&provider).unwrap();
        ask(&account, &Ask::get("/a?b=1")).await.unwrap();
        // A whole URL is fine where it leads home, and refused elsewhere.
        ask(&account, &Ask::get(format!("{}/jobs/1", own.url))).await.unwrap();
        let refused = ask(&account, &Ask::get(format!("{}/jobs/1", other.url))).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::ProviderFailed);
        assert!(refused.hint.unwrap().contains("also"));
        // A file elsewhere is fetched without it.
        account.fetch(&format!("{}/image/1", other.url)).await.unwrap();
        assert!(account.is_own(&own.url) && !account.is_own(&other.url));
    }
    let has_key = |arrived: &Arrived| format!("{arrived:?}").contains(KEY);
    assert!(own.arrived().iter().all(has_key) && own.arrived().len() == 2);
    assert!(!other.arrived().iter().any(has_key) && other.arrived().len() == 1);
    let base = Base { also: vec![".own.example".to_owned()], ..Base::default() };
    provider.base.insert("more".to_owned(), base);
    let account = house.account(&provider).unwrap();
    for (url, wanted) in [
        ("https://eu.own.example/x", true),
        ("https://a.b.own.example/x", true),
        ("http://eu.own.example/x", false),
        ("https://own.example/x", false),
        ("https://notown.example/x", false),
        ("https://eu.own.example.evil.test/x", false),
        ("https://user@evil.test/.own.example", false),
    ] {
        assert_eq!(account.is_own(url), wanted, "{url}");
    }
}

#[tokio::test]
async fn every_way_to_show_a_key_is_spoken_and_none_shows_in_an_error() {
    let echo = |arrived: &Arrived, _| {
        let told = format!("{:?} {:?}", arrived.headers, arrived.query);
        Reply::json(500, &json!({"error": told, "message": told}))
    };
    let server = server(echo).await;
    let (house, mut provider) = (house(), provider(&server.url));
    let schemes = [
        (AuthScheme::Header { name: "x-key".to_owned(), prefix: "Key ".to_owned() }, "Key key-for"),
        (AuthScheme::Query { name: "token".to_owned() }, "key-for"),
        (AuthScheme::Basic, "Basic a2V5LWZv"),
    ];
    for (scheme, wanted) in schemes {
        provider.auth.as_mut().unwrap().scheme = scheme;
        let account = house.account(&provider).unwrap();
        let error = ask(&account, &Ask::get("/x")).await.unwrap_err();
        let arrived = server.take_arrived();
        assert!(format!("{arrived:?}").contains(wanted), "{arrived:?}");
        assert!(error.retry && !error.to_string().contains(KEY), "{error}");
        let start = account.ask(&Ask::get("/x"), Purpose::Start).await.unwrap_err();
        // It says itself that it failed, so it did not take anything.
        assert_eq!(start.kind, ErrorKind::ProviderFailed);
        server.take_arrived();
    }
}

#[tokio::test]
async fn a_file_is_brought_once_and_named_after_that() {
    let place = Arc::new(Mutex::new(String::new()));
    let url = Arc::clone(&place);
    let server = server(move |arrived: &Arrived, count| match arrived.path.as_str() {
        "/put" => Reply::of(204, "text/plain", Vec::new()),
        _ => {
            let put = format!("{}/put", url.lock().unwrap());
            let fields = json!({"policy": "signed"});
            let named = format!("own://file-{count}");
            Reply::json(200, &json!({"uploadUrl": put, "fields": fields, "runwayUri": named}))
        }
    })
    .await;
    server.url.clone_into(&mut place.lock().unwrap());
    let (house, provider) = (house(), provider(&server.url));
    let account = house.account(&provider).unwrap();
    let bench: Arc<dyn Workbench> = Arc::new(Bench::default());
    let asset = sample_of(MediaKind::Image, 0);
    bench.write(sample_bytes(MediaKind::Image, 0), "image/png", asset.facts.clone()).unwrap();
    let file = |form| Body::File(FilePart { asset: asset.clone(), form });
    let both = Body::List(vec![file(FileForm::Url), file(FileForm::Upload)]);
    let named = account.hand_over(&both, &ByFile, &bench).await.unwrap();
    assert_eq!(named, json!(["own://file-0", "own://file-0"]));
    let again = account.hand_over(&both, &ByFile, &bench).await.unwrap();
    assert_eq!(again, named);
    let arrived = server.take_arrived();
    assert_eq!(arrived.len(), 2, "asked where to, and put there");
    let put = String::from_utf8_lossy(&arrived[1].body).into_owned();
    assert!(put.contains("signed") && put.contains("\u{fffd}PNG") && !put.contains(KEY));
    assert!(arrived[1].header("authorization").is_none_or(|said| !said.contains(KEY)));
    let inline = Body::Map(
        [("a", FileForm::Base64), ("b", FileForm::DataUri)]
            .map(|(name, form)| (name.to_owned(), file(form)))
            .into(),
    );
    let inline = account.hand_over(&inline, &ByFile, &bench).await.unwrap();
    assert!(inline["a"].as_str().unwrap().starts_with("iVBOR"));
    assert!(inline["b"].as_str().unwrap().starts_with("data:image/png;base64,iVBOR"));
    let form = Body::Map([("f".to_owned(), file(FileForm::Part))].into());
    let form = account.payload(Encoding::Multipart, &form, &ByFile, &bench).await.unwrap();
    assert!(matches!(form, Payload::Multipart(parts) if parts.len() == 1));
    assert!(server.take_arrived().is_empty());
}

#[tokio::test]
async fn a_file_without_a_way_is_told_of_before_anything_is_sent() {
    let server = server(|_, _| fine()).await;
    let (house, mut provider) = (house(), provider(&server.url));
    let asset = sample_of(MediaKind::Image, 0);
    let input = Values::from([("first_frame".to_owned(), asset.clone().into())]);
    let body = |form| Body::List(vec![Body::File(FilePart { asset: asset.clone(), form })]);
    for form in [FileForm::Url, FileForm::Upload] {
        house
            .account(&provider)
            .unwrap()
            .check_ways(&body(form), &input, &Bench::default())
            .unwrap();
    }
    provider.upload = None;
    provider.title = "Far Away".to_owned();
    let account = house.account(&provider).unwrap();
    for form in [FileForm::Base64, FileForm::DataUri, FileForm::Part] {
        account.check_ways(&body(form), &input, &Bench::default()).unwrap();
    }
    for form in [FileForm::Url, FileForm::Upload] {
        let error = account.check_ways(&body(form), &input, &Bench::default()).unwrap_err();
        assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, false));
        let text = error.to_string();
        assert!(text.contains("Far Away") && text.contains("`first_frame`"), "{text}");
        assert!(error.hint.is_some());
    }
    // What the provider made itself has an address there.
    house.remember(&provider.id, asset.digest, "https://files.example/1", 600);
    account.check_ways(&body(FileForm::Url), &input, &Bench::default()).unwrap();
    assert!(server.arrived().is_empty());
}

/// A workbench whose files others can fetch.
#[derive(Default)]
struct Reached(Bench);

impl Workbench for Reached {
    fn read(&self, asset: &AssetRef) -> impasto_domain::Result<Arc<[u8]>> {
        self.0.read(asset)
    }

    fn write(
        &self,
        bytes: Vec<u8>,
        media_type: &str,
        facts: MediaFacts,
    ) -> impasto_domain::Result<AssetRef> {
        self.0.write(bytes, media_type, facts)
    }

    fn progress(&self, fraction: f64, note: &str) {
        self.0.progress(fraction, note);
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn address(&self, asset: &AssetRef) -> Option<String> {
        Some(format!("https://media.example/files/{}", asset.digest.short()))
    }
}

#[tokio::test]
async fn who_takes_files_by_address_fetches_them_here_if_it_can() {
    let server = server(|_, _| fine()).await;
    let (house, mut provider) = (house(), provider(&server.url));
    provider.upload = None;
    let account = house.account(&provider).unwrap();
    let bench: Arc<dyn Workbench> = Arc::new(Reached::default());
    let facts = MediaFacts::default();
    let asset = bench.write(b"picture".to_vec(), "image/png", facts).unwrap();
    let input = Values::from([("image".to_owned(), asset.clone().into())]);
    let body = |form| Body::File(FilePart { asset: asset.clone(), form });
    account.check_ways(&body(FileForm::Url), &input, &*bench).unwrap();
    let named = account.hand_over(&body(FileForm::Url), &ByFile, &bench).await.unwrap();
    assert_eq!(named, format!("https://media.example/files/{}", asset.digest.short()));
    // What is to be uploaded is not what is to be fetched.
    assert!(account.check_ways(&body(FileForm::Upload), &input, &*bench).is_err());
    let inline = account.hand_over(&body(FileForm::DataUri), &ByFile, &bench).await.unwrap();
    assert!(inline.as_str().unwrap().starts_with("data:image/png"));
    assert!(server.arrived().is_empty());
}

#[tokio::test]
async fn who_does_nothing_twice_under_one_name_is_asked_again() {
    let lost = |_: &Arrived, count| {
        fine().manner([Manner::Reset, Manner::Cut, Manner::Whole][count as usize % 3])
    };
    let server = server(lost).await;
    let (house, mut provider) = (house(), provider(&server.url));
    let start = Ask::post("/start", json!({"a": 1}));
    {
        let account = house.account(&provider).unwrap();
        let error = account.start(&start, "run/step/1", 5_000).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InDoubt);
        assert_eq!(server.take_arrived().len(), 1, "nobody may start it again unasked");
        // The script goes on with the second answer; two more make three.
        let _cut = account.start(&start, "run/step/1", 5_000).await.unwrap_err();
        let _whole = account.start(&start, "run/step/1", 5_000).await.unwrap();
        server.take_arrived();
    }
    provider.idempotency_header = Some("idempotency-key".to_owned());
    let account = house.account(&provider).unwrap();
    account.start(&start, "run/step/2", 5_000).await.unwrap();
    let arrived = server.take_arrived();
    assert_eq!(arrived.len(), 3);
    let names: Vec<_> = arrived.iter().map(|one| one.header("idempotency-key")).collect();
    assert_eq!(names, [Some("run/step/2"); 3]);
}

#[tokio::test]
async fn a_start_in_doubt_stays_so_until_its_name_is_judged() {
    let started = |answers: [Reply; 3]| async move {
        let server = server(move |_: &Arrived, count| answers[count as usize % 3].clone()).await;
        let (house, mut provider) = (house(), provider(&server.url));
        provider.idempotency_header = Some("idempotency-key".to_owned());
        let account = house.account(&provider).unwrap();
        let start = Ask::post("/start", json!({"a": 1}));
        let started = account.start(&start, "run/step/1", 5_000).await;
        (started.map(|_| ()).map_err(|error| error.kind), server.take_arrived().len())
    };
    let lost = || fine().manner(Manner::Reset);
    let bad = |status| Reply::of(status, "application/json", b"{}".to_vec());
    let doubt = Err(ErrorKind::InDoubt);
    assert_eq!(started([lost(), bad(429), bad(503)]).await, (doubt, 3), "it may have been taken");
    assert_eq!(started([lost(), bad(409), lost()]).await, (doubt, 3));
    assert_eq!(started([lost(), bad(429), fine()]).await, (Ok(()), 3));
    assert_eq!(started([lost(), bad(422), fine()]).await, (Err(ErrorKind::InvalidInput), 2));
    assert_eq!(started([bad(429), fine(), fine()]).await, (Err(ErrorKind::RateLimited), 1));
}

#[test]
fn a_handle_reads_back_whatever_is_in_it() {
    let facts = [("id".to_owned(), "a \"b\" \u{1f5bc}".to_owned())].into();
    let answer = Some(json!({"images": [{"url": "https://files.example/a?b=c"}]}));
    let handle = Handle { facts, expected: Money::micros(12), answer, ..Handle::default() };
    assert_eq!(Handle::read(&handle.write()).unwrap(), handle);
    assert!(handle.fact("url").is_err());
    for bad in ["", "job-1", "{\"facts\": 1}"] {
        assert!(Handle::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn every_row_of_every_table_of_errors_is_read_as_it_says() {
    let catalog = Catalog::embedded().unwrap();
    let mut rows = 0;
    for provider in catalog.providers.values() {
        for row in &provider.errors.rows {
            let status = row.status.first().copied();
            let status = status.unwrap_or(if row.at.is_some() { 200 } else { 400 });
            let mut body = Body::Map([].into());
            let words = row.contains.first().cloned().unwrap_or_else(|| "words".to_owned());
            if let Some(place) = provider.errors.message.first() {
                put(&mut body, place, json!(words));
            }
            if let Some(place) = &row.at {
                put(&mut body, place, row.is.first().cloned().unwrap_or_else(|| json!("other")));
            }
            let body = body.plain().unwrap();
            let header = |_: &str| None;
            let seen = impasto_catalog::Seen { status, header: &header, body: &body };
            let error = provider.errors.read(&seen).unwrap();
            let earlier = provider.errors.rows.iter().take_while(|other| *other != row);
            let shadowed = earlier.into_iter().any(|other| other.kind == error.kind);
            assert!(
                error.kind == row.kind || shadowed,
                "{}: {body} with {status} is {}, not {}",
                provider.id,
                error.kind,
                row.kind
            );
            rows += 1;
        }
    }
    assert!(rows > 60, "{rows}");
}

fn put(body: &mut Body, place: &impasto_catalog::Pointer, value: Json) {
    let place: impasto_catalog::Pointer = place.to_string().replace('*', "0").parse().unwrap();
    let _in_the_way = place.put(body, Body::from(value));
}
