//! Pure: when to ask again, and when the answers have dried up.
//!
//! Every question carries a number that the answers to it repeat, so that a lost packet shows: a device that answered one question
//! and not another. Then more is asked; where nothing is lost the scan is over soon.

use std::time::Duration;

/// Questions that are asked at least; the chance of a device to be missed falls with each.
const FEWEST: usize = 4;
/// Questions where nothing was found at all.
const WHEN_NOTHING: usize = 8;
/// Questions where packets were lost.
const WHEN_LOSSY: usize = 12;
/// Without news for this long after the last question it is over.
const QUIET: Duration = Duration::from_millis(300);
/// An answer that has not come after this time counts as lost.
pub(super) const LATE: Duration = Duration::from_millis(150);
/// It is over after this time even when answers still arrive.
const LIMIT: Duration = Duration::from_secs(6);

/// How far a scan has come. All times since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Questions asked.
    pub(super) asked: usize,
    /// When the last one was.
    pub(super) last_asked: Duration,
    /// When something new was learnt last.
    pub(super) last_news: Duration,
    /// Whether what is looked for was found.
    pub(super) found: bool,
    /// Whether an answer that must have been sent did not arrive.
    pub(super) lossy: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask.
    Ask,
    /// Listen until then, or until something arrives.
    Listen(Duration),
    /// The answers have dried up.
    Finish,
}

/// What to do now.
pub(super) fn next(now: Duration, progress: &Progress) -> Next {
    let enough = match (progress.found, progress.lossy) {
        (_, true) => WHEN_LOSSY,
        (true, false) => FEWEST,
        (false, false) => WHEN_NOTHING,
    };
    if now >= LIMIT {
        return Next::Finish;
    }
    if progress.asked < enough {
        let due = due(progress.asked).max(progress.last_asked);
        return if now >= due {
            Next::Ask
        } else {
            Next::Listen(due)
        };
    }
    let over = progress.last_asked.max(progress.last_news) + QUIET;
    if now >= over {
        Next::Finish
    } else {
        Next::Listen(over.min(LIMIT))
    }
}

/// When a question is due, by its number.
fn due(number: usize) -> Duration {
    let milliseconds = match number {
        0 => 0,
        1 => 100,
        2 => 250,
        more => 400 + 200 * u64::try_from(more - 3).unwrap_or(u64::MAX / 400),
    };
    Duration::from_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Plays a scan on a clock of its own: what arrives when. Gives the questions asked and the end.
    fn play(news: &[u64], found: bool, lossy_until: u64) -> (Vec<u64>, u64) {
        let (mut progress, mut asked) = (Progress::default(), Vec::new());
        for now in 0..20_000 {
            if news.contains(&now) {
                progress.last_news = ms(now);
                progress.found = found;
            }
            progress.lossy = now < lossy_until && now > 200;
            match next(ms(now), &progress) {
                Next::Ask => {
                    asked.push(now);
                    progress.asked += 1;
                    progress.last_asked = ms(now);
                }
                Next::Listen(until) => assert!(until > ms(now), "would spin at {now}"),
                Next::Finish => return (asked, now),
            }
        }
        panic!("never ends");
    }

    #[test]
    fn a_good_network_is_done_within_a_second() {
        assert_eq!(play(&[2], true, 0), (vec![0, 100, 250, 400], 700));
    }

    #[test]
    fn late_news_is_waited_for() {
        let (_, end) = play(&[2, 650, 900], true, 0);
        assert_eq!(end, 1200);
    }

    #[test]
    fn lost_packets_are_asked_for_again() {
        let (asked, _) = play(&[2], true, 10_000);
        assert_eq!(asked.len(), 12);
    }

    #[test]
    fn nothing_at_all_is_an_answer_after_a_second_and_a_half() {
        let (asked, end) = play(&[], false, 0);
        assert_eq!(asked.len(), 8);
        assert_eq!(end, 1500);
    }

    #[test]
    fn endless_news_ends_it_too() {
        let news: Vec<u64> = (0..20_000).collect();
        assert_eq!(play(&news, true, 0).1, 6000);
    }
}
