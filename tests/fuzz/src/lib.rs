//! What must hold for every parser of foreign bytes, whatever the bytes are.
//!
//! In: the bytes of one input. Out: nothing, or a panic that says what does not hold. Each function is the body of the fuzz target
//! of its name, and `cargo test` runs it over the seeds and over every input that once broke it. Where a parser takes several texts,
//! the input holds them one after another with a zero byte between them.

mod agent;
mod cloud;
mod copy;
mod discovery;
mod download;
mod files;
mod host;
mod image;
mod logs;
mod output;
mod project;
mod ssh;
mod system;
mod target;
mod text;

/// A target: its name, and what it does with one input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("agent_answers", output::agent_answers),
    ("boot_env", system::boot_env),
    ("build_output", output::build_output),
    ("cloud_answers", cloud::cloud_answers),
    ("compose", project::compose),
    ("config_json", agent::config_json),
    ("configure", agent::configure),
    ("connect_reply", cloud::connect_reply),
    ("connection_file", system::connection_file),
    ("context_cache", files::context_cache),
    ("copy_answers", copy::copy_answers),
    ("copy_archive", copy::copy_archive),
    ("datagrams", host::datagrams),
    ("device_files", files::device_files),
    ("dockerfile", project::dockerfile),
    ("dockerignore", project::dockerignore),
    ("dotenv", project::dotenv),
    ("download_answers", download::answers),
    ("download_lists", download::lists),
    ("download_parts", download::parts),
    ("engine_answers", agent::engine_answers),
    ("fleet_config", agent::fleet_config),
    ("image_bmap", image::bmap),
    ("image_boot", image::boot),
    ("image_config", image::config),
    ("image_connection", image::connection),
    ("image_container", image::container),
    ("image_ext4", image::ext4),
    ("image_fat", image::fat),
    ("interpolate", project::interpolate),
    ("journal_rows", logs::journal_rows),
    ("kept_frames", ssh::kept_frames),
    ("known_hosts", ssh::known_hosts),
    ("log_query", logs::log_query),
    ("log_stream", logs::log_stream),
    ("mdns_answer", discovery::mdns_answer),
    ("mdns_question", discovery::mdns_question),
    ("partition_table", system::partition_table),
    ("preloaded_apps", target::preloaded_apps),
    ("program_output", output::program_output),
    ("project_files", files::project_files),
    ("redsocks_conf", host::redsocks_conf),
    ("request_body", host::request_body),
    ("selector", discovery::selector),
    ("ssh_config", ssh::ssh_config),
    ("state_file", agent::state_file),
    ("system_rows", logs::system_rows),
    ("target_body", target::target_body),
    ("terminal", output::terminal),
    ("yaml", project::yaml),
];

/// Runs the target of this name over one input.
///
/// # Panics
/// When there is no such target, and when something does not hold.
pub fn run(name: &str, input: &[u8]) {
    let (_, body) = ALL
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a target of this name");
    body(input);
}
