//! What is said of block maps that are not of their image any more.

use serde_json::{Value, json};

use crate::{
    image::block_map::Aside,
    ui::{
        Console,
        style::{neutralise, shown},
    },
};

/// What became of block maps that are not of the image any more.
pub fn maps_moved(console: &Console, maps: &[Aside]) {
    for aside in maps {
        let map = shown(&aside.map);
        match &aside.now {
            Ok(now) => console.say(&format!(
                "{map} may not be of what the image holds from now on: it is called {} now",
                shown(now)
            )),
            Err(error) => {
                console.warn(&format!(
                    "{map} may not be of what the image holds from now on, and cannot be renamed: {}",
                    neutralise(error)
                ));
                console.hint("remove it, or write the image by `os flash --no-bmap`");
            }
        }
    }
}

/// The same, for programs.
#[must_use]
pub fn map_values(maps: &[Aside]) -> Vec<Value> {
    let value = |aside: &Aside| {
        let now = aside.now.as_ref();
        json!({
            "path": aside.map.display().to_string(),
            "renamed_to": now.ok().map(|now| now.display().to_string()),
            "error": now.err(),
        })
    };
    maps.iter().map(value).collect()
}
