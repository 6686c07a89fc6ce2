//! Images that a push has replaced, which would stay on the device for ever: a few layers a push, until its disk is full.
//!
//! In: what the engine has without a name, and the record of what was built. Out: what can go. An image with a name is
//! never touched, nor one that somebody else has built; the engine itself refuses to give up what a container is made from.

use super::{Event, Options, Workshop, record::Record};
use crate::engine::{Dangling, EngineError};

/// Removes them, once the device runs what was built. What cannot be removed now is left to the next push.
pub(super) async fn images(workshop: &Workshop<'_>, options: &Options<'_>, record: &mut Record) {
    match remove(workshop, record).await {
        Ok(()) => {
            record.replaced.clear();
            workshop.save(record, options);
        }
        Err(error) => {
            let error = crate::cause::chain(&error);
            let message = format!(
                "images that were replaced are still on the device, the next push to it removes them: {error}"
            );
            let warning = crate::project::Warning { at: None, message };
            workshop.events.send(Event::Warning(warning));
        }
    }
}

async fn remove(workshop: &Workshop<'_>, record: &Record) -> Result<(), EngineError> {
    let engine = workshop.engine;
    for id in superfluous(&engine.dangling_images().await?, record) {
        engine.remove_image(id).await?;
    }
    Ok(())
}

/// Of the images without a name those that pushes have left: whole images by their label, stages of builds by the record.
fn superfluous<'a>(dangling: &'a [Dangling], record: &Record) -> Vec<&'a str> {
    let goes = |image: &&Dangling| {
        image.is_pushed || (record.had_layer(&image.id) && !record.has_layer(&image.id))
    };
    let going = dangling.iter().filter(goes);
    going.map(|image| image.id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::deploy::record::BuiltImage;

    fn built(layers: &[&str]) -> BuiltImage {
        BuiltImage {
            digest: "d".to_owned(),
            image: "sha256:1".to_owned(),
            bases: BTreeMap::new(),
            layers: layers.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    #[test]
    fn what_pushes_have_left_goes_and_nothing_else() {
        let mut record = Record::default();
        record.put("web".to_owned(), built(&["aaaaaaaaaaaa", "bbbbbbbbbbbb"]));
        assert_eq!(record.replaced, BTreeSet::new());
        record.put("web".to_owned(), built(&["aaaaaaaaaaaa", "cccccccccccc"]));
        let image = |id: &str, is_pushed| Dangling {
            id: format!("sha256:{id}0000"),
            is_pushed,
        };
        let dangling = [
            // A stage that is made by the newest build, too.
            image("aaaaaaaaaaaa", false),
            image("bbbbbbbbbbbb", false),
            image("cccccccccccc", false),
            // Somebody else's.
            image("dddddddddddd", false),
            // Of another workstation, or of a push that was interrupted.
            image("eeeeeeeeeeee", true),
        ];
        assert_eq!(
            superfluous(&dangling, &record),
            ["sha256:bbbbbbbbbbbb0000", "sha256:eeeeeeeeeeee0000"]
        );
    }
}
