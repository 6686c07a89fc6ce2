//! Asks the cloud what it wants of the services of the system: once, or until it answers.
//!
//! In: the cloud, the schema. Out: its [`Answer`]. Only the key that it may know is shown to it.

use std::time::Duration;

use super::answer::{self, Answer};
use super::change::Cloud;
use super::fetch::{self, FetchError, Question};
use super::lines::Lines;
use super::schema::Schema;
use super::{OsConfigError, Places};
use crate::daemon::chain;

/// Asks the cloud once, and understands its answer.
pub(super) async fn ask(
    cloud: &Cloud,
    schema: &Schema,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<Answer, OsConfigError> {
    let url = format!("{}{}", cloud.endpoint.trim_end_matches('/'), places.route);
    lines.say(format_args!("Fetching service configuration from {url}..."));
    let text = fetch::get(&question(&url, cloud)).await?;
    lines.say(format_args!("Service configuration retrieved"));
    Ok(answer::read(&text, schema)?)
}

/// Asks again and again until somebody answers. Each reason is said once in a row.
pub(super) async fn ask_until_answered(
    cloud: &Cloud,
    schema: &Schema,
    places: &Places,
    lines: &mut Lines<'_>,
) -> Result<Answer, OsConfigError> {
    let url = format!("{}{}", cloud.endpoint.trim_end_matches('/'), places.route);
    lines.say(format_args!("Fetching service configuration from {url}..."));
    let mut waited = 0;
    let mut said = String::new();
    let text = loop {
        match fetch::get(&question(&url, cloud)).await {
            Ok(text) => break text,
            // It would not be understood the next time either.
            Err(error @ (FetchError::Address(_) | FetchError::Certificates(_))) => {
                return Err(error.into());
            }
            Err(error) => {
                let words = chain(&error);
                if words != said {
                    lines.say(format_args!("{words}"));
                    said = words;
                }
            }
        }
        let pause = pause(waited);
        tokio::time::sleep(Duration::from_secs(pause)).await;
        waited += pause;
        if waited % 10 == 0 {
            lines.say(format_args!("Awaiting service configuration..."));
        }
    };
    lines.say(format_args!("Service configuration retrieved"));
    Ok(answer::read(&text, schema)?)
}

fn question<'a>(url: &'a str, cloud: &'a Cloud) -> Question<'a> {
    Question {
        url,
        root_certificates: cloud.root_certificates.as_deref(),
        key: cloud.key.as_deref(),
        most: answer::MAX_BYTES,
    }
}

/// Seconds until the next question, by those that were waited already; the reference's figures.
pub(super) fn pause(waited: u64) -> u64 {
    match waited {
        0..10 => 1,
        10..30 => 2,
        30..60 => 5,
        60..300 => 10,
        _ => 30,
    }
}
