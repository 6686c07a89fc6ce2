//! Prepares a build context, and writes it as tar: what `tests/bench/` times of the workstation's program by itself.
//!
//! `bench-context digest|tar FOLDER CACHE`

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use os_cli::project::BuildSpec;
use os_cli::project::context::{ContextRequest, prepare};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || {
        arguments
            .next()
            .expect("bench-context digest|tar FOLDER CACHE")
    };
    let mode = next();
    let (folder, cache) = (PathBuf::from(next()), PathBuf::from(next()));
    let build = BuildSpec {
        context: folder.clone(),
        ..BuildSpec::default()
    };
    let context = prepare(&ContextRequest {
        project_root: &folder,
        service: "big",
        build: &build,
        contexts: std::slice::from_ref(&folder),
        multi_dockerignore: false,
        cache_dir: Some(&cache),
        device_type: "generic-amd64",
        arch: "amd64",
        is_live: false,
    })
    .expect("a context");
    if mode == "tar" {
        let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
        context.write_tar(&mut out).expect("the archive");
        out.flush().expect("the archive");
    } else {
        println!("{} {}", context.digest, context.files);
    }
}
