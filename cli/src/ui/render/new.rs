//! What `os new` says.

use std::{io, path::Path};

use serde_json::json;

use crate::{
    templates::Template,
    ui::{
        Console,
        style::{self, paint},
        table,
    },
};

/// The templates, one a line.
pub fn list(console: &Console, templates: &[Template]) -> io::Result<()> {
    if console.is_json() {
        return templates.iter().try_for_each(|template| {
            console.json(&json!({ "name": template.name, "summary": template.summary }))
        });
    }
    let rows: Vec<_> = templates
        .iter()
        .map(|template| vec![template.name.to_owned(), template.summary.to_owned()])
        .collect();
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line))?;
    console.hint("os new <template> [folder] writes one");
    Ok(())
}

/// A template was written to `folder`, as the person named it.
pub fn written(console: &Console, template: &Template, folder: &Path) -> io::Result<()> {
    if console.is_json() {
        let files: Vec<_> = template.files.iter().map(|file| file.path).collect();
        return console
            .json(&json!({ "template": template.name, "folder": folder.display().to_string(), "files": files }));
    }
    let name = paint(
        console.stderr_colour(),
        style::NAME,
        &folder.display().to_string(),
    );
    console.say(&format!("wrote {name}: {}", template.summary));
    for file in template.files {
        console.detail(&format!("  {}", file.path));
    }
    console.hint(&format!(
        "os push --source {} builds it and starts it on a device; its README.md says more",
        shlex::try_quote(&folder.to_string_lossy()).unwrap_or_default()
    ));
    Ok(())
}
