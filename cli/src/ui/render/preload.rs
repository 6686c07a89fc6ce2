//! What `os preload` says.

use std::{io, path::Path, time::Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    image::{map_values, maps_moved},
    progress::{bytes, duration, transfer},
};
use crate::{
    preload::{Doing, Preloaded},
    provision::inspect::Taker,
    ui::{
        Console,
        style::{neutralise, shown},
    },
};

/// Where the images are made, and for what.
pub fn begins(console: &Console, image: &Path, engine: &str, arch: Option<&str>) {
    let arch = arch.unwrap_or("an unknown architecture");
    console.say(&format!(
        "preloading {} ({}) with images of {}",
        shown(image),
        neutralise(arch),
        neutralise(engine)
    ));
}

/// Bytes on their way.
#[derive(Debug)]
pub struct Progress {
    console: Console,
    bar: Option<ProgressBar>,
    began: Instant,
    last: Option<Doing>,
}

impl Progress {
    /// Begins; nothing is shown yet.
    #[must_use]
    pub fn new(console: &Console) -> Self {
        let bar = console.draws_bars().then(|| {
            let style = ProgressStyle::with_template("{msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            console
                .bars()
                .add(ProgressBar::new_spinner().with_style(style))
        });
        Self {
            console: console.clone(),
            bar,
            began: Instant::now(),
            last: None,
        }
    }

    /// So many bytes came out of the engine.
    pub fn exported(&self, count: u64) {
        self.show(&format!(
            "exporting  {}",
            transfer(count, 0, self.began.elapsed())
        ));
    }

    /// So many bytes of a service's image came from the registry, of as many as are known of.
    pub fn fetched(&self, service: &str, count: u64, total: u64) {
        self.show(&format!(
            "fetching {}  {}",
            neutralise(service),
            transfer(count, total, self.began.elapsed())
        ));
    }

    /// What is done with the image.
    pub fn doing(&mut self, doing: Doing) {
        if let Doing::Waiting(program, so_long) = doing {
            let so_long = duration(so_long);
            return self
                .console
                .say(&format!("`{program}` has been at work for {so_long}"));
        }
        let is_new = self
            .last
            .is_none_or(|last| std::mem::discriminant(&last) != std::mem::discriminant(&doing));
        if is_new {
            self.began = Instant::now();
            self.console.detail(words(doing));
        }
        self.last = Some(doing);
        match doing {
            Doing::Writing(count, total) => {
                let moved = transfer(count, total, self.began.elapsed());
                self.show(&format!("{}  {moved}", words(doing)));
            }
            _ => self.show(words(doing)),
        }
    }

    fn show(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
            bar.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn words(doing: Doing) -> &'static str {
    match doing {
        Doing::Preparing => "preparing the data partition",
        Doing::Loading => "writing the images into it",
        Doing::Reading => "reading them back",
        Doing::Writing(..) => "writing the image",
        Doing::Waiting(program, _) => program,
    }
}

/// Another system may leave there what it does not know.
fn leaves(console: &Console, image: &Path, taker: &Taker) {
    let system = match taker {
        Taker::Ours => return,
        Taker::Other(name) => format!("its system is {}", neutralise(name)),
        Taker::Unknown => "nothing on it says which system it has".to_owned(),
    };
    console.warn(&format!(
        "{}: {system}: its devices start what was preloaded if they have this system's agent; another one leaves it there",
        shown(image)
    ));
}

/// What has become of the image.
pub fn done(
    console: &Console,
    (image, services): (&Path, &[String]),
    (release, taker): (Option<&Value>, &Taker),
    done: &Preloaded,
) -> io::Result<()> {
    let (before, now) = done.sizes;
    for words in &done.mended {
        console.warn(&format!(
            "the file system of partition {} was mended: {}",
            done.number,
            neutralise(words)
        ));
    }
    maps_moved(console, &done.maps);
    leaves(console, image, taker);
    if console.is_json() {
        let mut told = json!({
            "image": image.display().to_string(), "services": services, "archive": done.archive,
            "partition": done.number, "size_before": before, "size": now, "medium_at_least": done.medium,
            "system": match taker {
                Taker::Ours => Some("os"),
                Taker::Other(name) => Some(name.as_str()),
                Taker::Unknown => None,
            },
            "is_taken": match taker {
                Taker::Ours => Some(true),
                Taker::Other(_) => Some(false),
                Taker::Unknown => None,
            },
            "mended": done.mended, "block_maps": map_values(&done.maps),
        });
        if let (Some(release), Some(told)) = (release, told.as_object_mut()) {
            told.insert("release".to_owned(), release.clone());
        }
        return console.json(&told);
    }
    let services: Vec<_> = services.iter().map(|name| neutralise(name)).collect();
    let what = match taker {
        Taker::Ours => format!("starts {} without a network", services.join(", ")),
        Taker::Other(_) | Taker::Unknown => format!("has {}", services.join(", ")),
    };
    console.say(&format!(
        "{} {what}: {} of images in partition {}",
        shown(image),
        bytes(done.archive),
        done.number
    ));
    console.say(&format!(
        "a device unpacks them at its first start, which takes a medium of {} at least",
        bytes(done.medium)
    ));
    if now > before {
        console.say(&format!(
            "the partition grew from {} to {}",
            bytes(before),
            bytes(now)
        ));
    }
    Ok(())
}
