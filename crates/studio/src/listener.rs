//! A workbench that writes down what it is told, for tests.

use std::sync::{Arc, Mutex};

use impasto_domain::{AssetRef, Bench, MediaFacts, News, Result, SoundFormat, Workbench};

/// A bench in memory that wants news.
#[derive(Default)]
pub(crate) struct Listener {
    bench: Bench,
    news: Mutex<Vec<News>>,
}

impl Listener {
    /// What was told, in order.
    pub(crate) fn news(&self) -> Vec<News> {
        self.news.lock().unwrap().clone()
    }

    /// All pieces of a sound in a row, if they are of one format.
    pub(crate) fn sound(&self, wanted: &str) -> Option<(SoundFormat, Vec<u8>)> {
        let mut all: Option<(SoundFormat, Vec<u8>)> = None;
        for news in self.news() {
            if let News::Sound { name, format, bytes } = news {
                assert_eq!(name, wanted);
                let (first, sound) = all.get_or_insert_with(|| (format.clone(), Vec::new()));
                assert_eq!(*first, format);
                sound.extend(bytes);
            }
        }
        all
    }
}

impl Workbench for Listener {
    fn read(&self, asset: &AssetRef) -> Result<Arc<[u8]>> {
        self.bench.read(asset)
    }

    fn write(&self, bytes: Vec<u8>, media_type: &str, facts: MediaFacts) -> Result<AssetRef> {
        self.bench.write(bytes, media_type, facts)
    }

    fn progress(&self, _fraction: f64, _note: &str) {}

    fn tell(&self, news: News) {
        self.news.lock().unwrap().push(news);
    }

    fn wants_news(&self) -> bool {
        true
    }

    fn cancelled(&self) -> bool {
        false
    }
}
