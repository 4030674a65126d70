//! Files that want to crash, fill, stall or read.

use std::time::{Duration, Instant};

use impasto_domain::{Error, ErrorKind};
use impasto_media::limits::Limits;
use impasto_media::sandbox::Sandbox;

use crate::files::{self, IN_THIS_FILE};
use crate::{Check, sandbox, sandbox_without_ffmpeg};

pub(crate) const CHECKS: &[Check] = &[
    ("pictures that are not what they say", pictures),
    ("a profile bomb costs no memory", profile_bombs),
    ("documents that read or never end", documents),
    ("drawings of a provider that read or run", drawings),
    ("drawings of a provider that never end", endless_drawings),
    ("playlists and text that call themselves films", playlists),
    ("sounds that lie", sounds),
    ("meshes that lie", meshes),
    ("films that lie", films),
    ("what does not stop is stopped", stopped),
    ("what eats memory is broken off", out_of_memory),
    ("a film that takes too long is stopped", endless_film),
    ("the fences stand", fenced),
    ("every cut and flip of good files", damaged),
];

/// What a file must never get into an answer.
const SECRET: &str = "the-neighbours-secret-4711";

/// Imports a trap, with and without ffmpeg: an error with a reason, about the file, within seconds.
fn check(name: &str, bytes: &[u8], expected: &str) {
    for sandbox in [sandbox(), sandbox_without_ffmpeg()] {
        let error = refused(&sandbox, name, bytes);
        let text = error.to_string();
        assert!(text.contains(expected), "{name}: '{text}' does not say '{expected}'");
    }
}

fn refused(sandbox: &Sandbox, name: &str, bytes: &[u8]) -> Error {
    let start = Instant::now();
    let result = sandbox.import(bytes, name);
    let (took, error) = (start.elapsed(), result.map(|made| made.facts).expect_err(name));
    assert!(took < Duration::from_secs(5), "{name} took {took:?}");
    assert_eq!(error.kind, ErrorKind::InvalidInput, "{name}: {error}");
    assert!(
        error.hint.is_some() && error.message.starts_with(&format!("'{name}'")),
        "{name}: {error}"
    );
    assert!(!error.message.contains("memory"), "{name}: {error}");
    assert!(!format!("{error:?}").contains(SECRET), "{name} leaks: {error}");
    error
}

fn pictures() {
    let whole = files::picture(200, 100).to_png().unwrap();
    check("cut.png", &whole[..whole.len() / 2], "cannot be decoded");
    check("huge.png", &files::png(60_000, 60_000, &[]), "60000×60000");
    check("wide.png", &files::png(16_385, 4, &[]), "16385×4");
    check("short.png", &files::png(4000, 4000, &[]), "cannot be decoded");
    check("lie.jpg", &files::lying_jpeg(65_500, 65_500), "65500×65500");
    check("many.gif", &files::gif(3_000), "3000 frames");
    check("planar.tif", b"II*\0\x08\0\0\0\x01\0\x1c\x01\x03\0\x01\0\0\0\x02\0\0\0", "TIFF");
    check("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC");
    check("empty.png", b"", "empty");
}

fn profile_bombs() {
    let profile = |unpacked: usize| [b"x\0\0".as_slice(), &files::packed_zeros(unpacked)].concat();
    for (megabytes, name) in [(50, "small.png"), (500, "large.png")] {
        let bytes = files::png(64, 64, &files::chunk(b"iCCP", &profile(megabytes << 20)));
        let limits = Limits { memory_bytes: 150_000_000, ..Limits::default() };
        let made = Sandbox { limits, ..sandbox() }.import(&bytes, name).expect(name);
        assert!(made.bytes.len() < 10_000, "the profile is gone");
    }
}

fn documents() {
    let folder = neighbour();
    let secret = folder.path().join("secret.png");
    let reads = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg"><image href="{}"/></svg>"#,
        secret.display()
    );
    check("reads.svg", reads.as_bytes(), "SVG");
    let blur = "<filter id='b'><feGaussianBlur stdDeviation='9999'/></filter>".repeat(20);
    check("endless.svg.png", format!("<?xml version='1.0'?><svg>{blur}</svg>").as_bytes(), "SVG");
    check("page.pdf", b"%PDF-1.7\n", "PDF");
    check("program.eps", b"%!PS-Adobe-3.0\n(%stdout) (w) file", "PostScript");
}

/// Takes in a drawing as what a provider made.
fn drawn(svg: &str) -> Result<String, Error> {
    let start = Instant::now();
    let made = sandbox().import_result(svg.as_bytes(), "drawing.svg");
    assert!(start.elapsed() < Duration::from_secs(5), "{svg:.200}");
    made.map(|made| String::from_utf8(made.bytes).unwrap())
}

fn drawings() {
    let folder = neighbour();
    let secret = folder.path().join("secret.png").display().to_string();
    // What reads or runs is left out, the rest stays.
    for bad in [
        &format!("<image href='{secret}' width='9' height='9'/>"),
        &format!("<use href='{secret}#a'/>"),
        &format!("<rect fill='url({secret})'/>"),
        "<image xlink:href='data:image/png;base64,AAAA'/>",
        "<script>alert(1)</script>",
        "<script><![CDATA[alert(1)]]></script>",
        "<g onload='alert(1)'/>",
        "<g ONLOAD='alert(1)'/>",
        "<a href='javascript:alert(1)'><rect/></a>",
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'><iframe src='x'/></body></foreignObject>",
        "<rect style='background:url(https://evil.test/x)'/>",
        "<rect style='fill:u\\72l(https://evil.test/x)'/>",
        "<style>@import 'https://evil.test/x.css';</style>",
        "<style>rect{fill:url( &quot;https://evil.test/x&quot; )}</style>",
        "<style>rect{fill:u<!-- -->rl(https://evil.test/x)}</style>",
        "<style>rect{fill:u<![CDATA[rl(https://evil.test/x)]]>}</style>",
        "<style>rect{fill:u<g/>rl(https://evil.test/x)}</style>",
        "<rect fill='URL(https://evil.test/x)'/>",
        "<animate attributeName='href' to='https://evil.test/x'/>",
        "<set attributeName='onload' to='alert(1)'/>",
        "<filter id='b'><feGaussianBlur stdDeviation='9999'/></filter><rect filter='url(#b)'/>",
        "<!-- <script>alert(1)</script> -->",
        "<?xml-stylesheet href='https://evil.test/x.css'?>",
        "<text>&lt;script&gt;alert(1)&lt;/script&gt;</text>",
    ] {
        let svg = format!("<svg width='9' height='9'>{bad}<path d='M0 0'/></svg>");
        let made = drawn(&svg).unwrap_or_else(|error| panic!("{bad}: {error}"));
        assert!(made.contains("<path d=\"M0 0\"/>"), "{made}");
        for word in [
            "evil",
            "secret",
            "<script",
            "onload",
            "ONLOAD",
            "javascript",
            "data:",
            "blur",
            "import",
            "foreign",
        ] {
            assert!(!made.contains(word), "{bad} becomes {made}");
        }
        // What was written is read again as it is.
        assert_eq!(drawn(&made).unwrap(), made);
    }
}

fn endless_drawings() {
    let folder = neighbour();
    let secret = folder.path().join("secret.png").display().to_string();
    let deep = format!("<svg>{}{}</svg>", "<g>".repeat(100), "</g>".repeat(100));
    let layers: String = (1..40)
        .map(|at| format!("<g id='a{at}'><use href='#a{0}'/><use href='#a{0}'/></g>", at - 1))
        .collect();
    let painted: String = (1..40)
        .map(|at| {
            let fill = format!("fill='URL(#a{})'", at - 1);
            format!(
                "<pattern id='a{at}'><rect {fill}/><rect style=\"{fill}\"/><rect {fill}/></pattern>"
            )
        })
        .collect();
    for (bad, said) in [
        ("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>".to_owned(), "names of its own"),
        (
            format!("<!DOCTYPE svg [<!ENTITY a SYSTEM 'file://{secret}'>]><svg>&a;</svg>"),
            "names of its own",
        ),
        ("<!DOCTYPE svg '>' [<!ENTITY a 'b'>]><svg><text>&a;</text></svg>".to_owned(), "no name"),
        ("<svg><text>&lol9;</text></svg>".to_owned(), "no name"),
        (deep, "elements deep"),
        (format!("<svg><g id='a0'/>{layers}<use href='#a39'/></svg>"), "parts once it is drawn"),
        (
            format!("<svg><pattern id='a0'/>{painted}<rect fill='url(#a39)'/></svg>"),
            "parts once it is drawn",
        ),
        ("<svg><g id='a'><use href='#a'/></g></svg>".to_owned(), "without end"),
        (format!("<svg>{}</svg>", "<g/>".repeat(300_000)), "parts"),
        ("<svg width='1e9' height='9'/>".to_owned(), "pixels"),
        ("<svg width='-1' height='9'/>".to_owned(), "no length"),
        ("<svg><g></svg>".to_owned(), "did not begin"),
        ("<svg><g a='b".to_owned(), "cut off"),
        ("<svg>".to_owned(), "before its end"),
        ("<svg/><svg/>".to_owned(), "not one drawing"),
        ("<html><svg/></html>".to_owned(), "not one drawing"),
        (format!("<svg>{}</svg>", " ".repeat(17_000_000)), "bytes of a drawing"),
    ] {
        let error = drawn(&bad).map(|made| format!("{made:.200}")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{bad:.200}: {error}");
        assert!(error.to_string().contains(said) && error.hint.is_some(), "{bad:.200}: {error}");
    }
    // Nobody but a provider sends one.
    check("drawing.svg", b"<svg width='9' height='9'/>", "SVG");
}

fn playlists() {
    let folder = neighbour();
    let secret = folder.path().join("secret.png");
    let concat = format!("ffconcat version 1.0\nfile '{}'\n", secret.display());
    check("film.mp4", concat.as_bytes(), "playlist");
    let hls = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n",
        secret.display()
    );
    check("film2.mp4", hls.as_bytes(), "playlist");
    check(
        "film3.mp4",
        b"<?xml version='1.0'?><MPD><BaseURL>http://127.0.0.1/</BaseURL></MPD>",
        "not taken",
    );
    check("film4.mp4", b"this is a text that says it is a film", "text");
}

fn sounds() {
    check("lie.wav", &files::wav(1_000, Some(0x7fff_fff0)), "claims 2147483632 bytes");
    check("cut.mp3", b"ID3\x04\0\0\0\0\0\x0a0123456789", "cannot be decoded");
    check("cut.flac", b"fLaC\0\0\0\x22", "cannot be decoded");
    let limits = Limits { duration_ms: 500, ..Limits::default() };
    let error = refused(&Sandbox { limits, ..sandbox() }, "long.wav", &files::wav(8_000, None));
    assert!(error.message.contains("lasts"), "{error}");
}

fn meshes() {
    let good = [0; 36];
    check(
        "count.glb",
        &files::glb(&files::triangle(4_000_000_000, 36, ""), &good),
        "claims 4000000000 items",
    );
    check("buffer.glb", &files::glb(&files::triangle(3, 1 << 50, ""), &good), "bytes of buffers");
    check("short.glb", &files::glb(&files::triangle(3, 4096, ""), &good), "claims 4096 bytes");
    let outside = r#","images":[{"uri":"file:///etc/passwd"}]"#;
    check("outside.glb", &files::glb(&files::triangle(3, 36, outside), &good), "names other files");
    check("deep.glb", &files::glb(&"[".repeat(200_000), &good), "cannot be decoded");
    let packed = r#","extensionsRequired":["KHR_draco_mesh_compression"]"#;
    check("packed.glb", &files::glb(&files::triangle(3, 36, packed), &good), "KHR_draco");
    let mut cut = files::glb(&files::triangle(3, 36, ""), &good);
    cut.truncate(60);
    check("cut.glb", &cut, "claims");
    let bomb = files::png(50_000, 50_000, &[]);
    let view = format!(
        r#"{{"asset":{{"version":"2.0"}},"buffers":[{{"byteLength":{0}}}],"images":[{{"bufferView":1}}],
        "bufferViews":[{{"buffer":0,"byteLength":36}},{{"buffer":0,"byteOffset":36,"byteLength":{1}}}],
        "accessors":[{{"bufferView":0,"componentType":5126,"type":"VEC3","count":3}}],
        "meshes":[{{"primitives":[{{"attributes":{{"POSITION":0}}}}]}}]}}"#,
        36 + bomb.len(),
        bomb.len()
    );
    check("bomb.glb", &files::glb(&view, &[good.as_slice(), &bomb].concat()), "50000×50000");
}

fn films() {
    check("huge.mp4", &files::mp4(30_000, 30_000, 1, IN_THIS_FILE), "30000×30000");
    check("long.mp4", &files::mp4(640, 360, 100_000, IN_THIS_FILE), "lasts");
    let folder = neighbour();
    let path = folder.path().join("secret.png");
    let url = [&[0; 4], path.to_string_lossy().as_bytes(), &[0]].concat();
    check(
        "other.mp4",
        &files::mp4(640, 360, 1, &files::mp4_box(b"url ", &url)),
        "names another file",
    );
    let whole = files::mp4(640, 360, 1, IN_THIS_FILE);
    check("cut.mp4", &whole[..whole.len() - 100], "claims");
    check("head.mp4", &whole[..24], "no index");
    check(
        "fragments.mp4",
        &[&whole[..24], &files::mp4_box(b"moof", &[0; 8])].concat(),
        "fragments",
    );
}

fn stopped() {
    let limits = Limits { wall_ms: 1, ..Limits::default() };
    let bytes = files::picture(3_000, 3_000).to_png().unwrap();
    let error = Sandbox { limits, ..sandbox() }.import(&bytes, "slow.png").expect_err("too slow");
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
}

fn out_of_memory() {
    let limits = Limits { memory_bytes: 90_000_000, ..Limits::default() };
    let bytes = files::picture(6_000, 6_000).to_png().unwrap();
    let error = Sandbox { limits, ..sandbox() }.import(&bytes, "large.png").expect_err("too large");
    assert_eq!(error.kind, ErrorKind::InvalidInput, "{error}");
    assert!(error.hint.is_some(), "{error}");
}

fn endless_film() {
    let bytes = files::film(20);
    let limits = Limits { wall_ms: 60, film_wall_ms_per_megapixel: 0, ..Limits::default() };
    let sandbox = Sandbox { limits, ..sandbox_without_ffmpeg() };
    let error = sandbox.import(&bytes, "slow.mp4").expect_err("too slow");
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    // What its header says is worth more time.
    let limits = Limits { wall_ms: 60, film_wall_ms_per_megapixel: 20_000, ..Limits::default() };
    let made = Sandbox { limits, ..sandbox_without_ffmpeg() }.import(&bytes, "long.mp4");
    assert_eq!(made.expect("time enough").facts.duration_ms, Some(20_000));
}

/// Nothing is missing on a kernel that has everything, and whatever is missing is told.
fn fenced() {
    let made = sandbox().import(&files::gif(1), "one.gif").expect("a picture");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = kernel.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    // Landlock may be turned off on any kernel; seccomp is a part of every one since 3.5.
    let missing = made.missing_fences;
    assert!(
        version < (3, 5) || missing.iter().all(|text| text.contains("Landlock")),
        "{missing:?}"
    );
    assert!(missing.iter().all(|text| text.len() < 200), "{missing:?}");
}

/// Files cut at many places and with bytes turned: an answer or an error, never a crash of ours.
fn damaged() {
    let sandbox = sandbox_without_ffmpeg();
    let small = files::picture(24, 16);
    let samples = [
        small.to_png().unwrap(),
        small.encode(impasto_media::Format::Jpeg, 70).unwrap(),
        small.encode(impasto_media::Format::Webp, 70).unwrap(),
        files::wav(200, None),
        files::gif(3),
        files::glb(&files::triangle(3, 36, ""), &[7; 36]),
        files::mp4(640, 360, 1, IN_THIS_FILE),
        files::film(1),
    ];
    for (number, sample) in samples.iter().enumerate() {
        for round in 0..40_usize {
            let place = (round * 7919 + number * 104_729) % sample.len();
            let mut bytes = sample.clone();
            if round % 2 == 0 {
                bytes.truncate(place);
            } else {
                bytes[place] ^= 1 << (round % 8);
            }
            if let Err(error) = sandbox.import(&bytes, "damaged") {
                assert_eq!(
                    error.kind,
                    ErrorKind::InvalidInput,
                    "sample {number}, round {round}: {error}"
                );
            }
        }
    }
}

/// A folder with a file that no trap may read.
fn neighbour() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.png"), SECRET).unwrap();
    folder
}
