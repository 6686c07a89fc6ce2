//! Whether what an answer brings is of the file of which there are parts already. Pure.
//!
//! A strong tag says so. Where an answer does not show the one that is known, some of what is there is asked for together with what is missing, and
//! compared (`fetch/proof.rs`): that finds most files that are others, and proves nothing of what was not compared.

use serde::{Deserialize, Serialize};

use super::answer::Validator;

/// What holds the bytes of a file together: of all its joints, the weakest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joint {
    /// One answer brought them, or is compared with all of them.
    OneAnswer,
    /// All answers have shown the tag of one state.
    Shown,
    /// One has not, and nothing else says that it was of the same file. It is so where nothing is known.
    #[default]
    Compared,
}

/// By what an answer is told to be of the file that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// By its strong tag.
    Tag,
    /// Parts do not show that: by what is asked for once more.
    Comparison,
    /// Checksums will tell what it is, whatever its servers call it: until then as before.
    Checksum,
}

impl Measure {
    /// Whether the tag of a state is enough.
    #[must_use]
    pub fn trusts(self, known: Option<&Validator>) -> bool {
        self == Self::Tag && known.is_some_and(Validator::is_strong)
    }

    /// Whether the beginning can be joined to what is there: there is nothing in front to compare, and what is behind could be of any file.
    #[must_use]
    pub fn can_begin(self, known: Option<&Validator>, has_behind: bool) -> bool {
        !has_behind || self.trusts(known)
    }
}

/// What an answer brings, and what there is already.
#[derive(Debug, Clone, Copy)]
pub struct Brought<'a> {
    /// Whether it is a part, and not the file from its beginning.
    pub is_part: bool,
    /// Whether others have brought, or will bring, what is in front of it.
    pub has_front: bool,
    /// Whether they have brought something that is behind.
    pub has_behind: bool,
    /// The state that it shows.
    pub shown: Option<&'a Validator>,
    /// That of the file.
    pub known: Option<&'a Validator>,
}

/// It says nothing of its file, and was not asked in a way that it could be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent;

/// What joins an answer to what there is.
///
/// # Errors
/// [`Silent`]: it is of no use, and another one is to be measured by comparison.
pub fn joint(answer: &Brought<'_>, measure: Measure) -> Result<Joint, Silent> {
    // What is in front is compared with all of an answer that begins there; what is behind is not.
    let joins = answer.has_behind || (answer.is_part && answer.has_front);
    let is_shown = answer.shown.is_some_and(Validator::is_strong) && answer.shown == answer.known;
    match (joins, is_shown) {
        (false, _) => Ok(Joint::OneAnswer),
        (true, true) => Ok(Joint::Shown),
        (true, false) if answer.is_part && measure.trusts(answer.known) => Err(Silent),
        (true, false) => Ok(Joint::Compared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_file_where_it_shows_so_and_else_compared() {
        use Measure::{Checksum, Comparison, Tag};
        let tag = |text| Validator::of(Some(text), None);
        let date = Validator::of(None, Some("Mon"));
        let (own, other) = (tag("\"a\""), tag("\"b\""));
        let all = [Tag, Comparison, Checksum];
        let told = |(is_part, has_front, has_behind), shown: &Option<_>, known: &Option<_>| {
            let answer = Brought {
                is_part,
                has_front,
                has_behind,
                shown: shown.as_ref(),
                known: known.as_ref(),
            };
            all.map(|measure| joint(&answer, measure))
        };
        let compared = [Ok(Joint::Compared); 3];
        let untold = [Err(Silent), Ok(Joint::Compared), Ok(Joint::Compared)];
        // All of it, or its beginning, with nothing there but what is compared with that.
        for place in [
            (false, false, false),
            (false, true, false),
            (true, false, false),
        ] {
            for shown in [&own, &other, &date, &None] {
                for known in [&own, &date, &None] {
                    assert_eq!(
                        told(place, shown, known),
                        [Ok(Joint::OneAnswer); 3],
                        "{place:?}"
                    );
                }
            }
        }
        // A part with others before or behind it.
        for place in [(true, true, false), (true, false, true), (true, true, true)] {
            assert_eq!(told(place, &own, &own), [Ok(Joint::Shown); 3], "{place:?}");
            for shown in [&other, &date, &None] {
                assert_eq!(told(place, shown, &own), untold, "{place:?} {shown:?}");
            }
            // A time is that of many states, and what nobody knew before says nothing of what was there before.
            for (shown, known) in [(&date, &date), (&own, &date), (&own, &None), (&None, &None)] {
                assert_eq!(told(place, shown, known), compared, "{place:?} {shown:?}");
            }
        }
        // All of it once more, over something that is behind what was missing.
        for front in [false, true] {
            let place = (false, front, true);
            assert_eq!(told(place, &own, &own), [Ok(Joint::Shown); 3]);
            for (shown, known) in [(&other, &own), (&None, &own), (&own, &None), (&date, &date)] {
                assert_eq!(told(place, shown, known), compared, "{shown:?} {known:?}");
            }
        }
    }

    #[test]
    fn what_is_behind_a_gap_at_the_beginning_is_joined_by_its_tag_alone() {
        let (tag, date) = (
            Validator::of(Some("\"a\""), None),
            Validator::of(None, Some("Mon")),
        );
        for measure in [Measure::Tag, Measure::Comparison, Measure::Checksum] {
            for known in [&tag, &date, &None] {
                let is_shown = measure == Measure::Tag && *known == tag;
                assert!(measure.can_begin(known.as_ref(), false));
                assert_eq!(
                    measure.can_begin(known.as_ref(), true),
                    is_shown,
                    "{measure:?} {known:?}"
                );
            }
        }
    }

    #[test]
    fn the_weakest_joint_counts() {
        let mut all = [Joint::Compared, Joint::OneAnswer, Joint::Shown];
        all.sort_unstable();
        assert_eq!(all, [Joint::OneAnswer, Joint::Shown, Joint::Compared]);
        assert_eq!(Joint::default(), Joint::Compared);
    }
}
