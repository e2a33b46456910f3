//! The owner's time zone: the names to choose from, and the zone of a site.
//!
//! Rules come from the machine's own IANA database, or from the one in the program where the
//! machine has none. A name that neither knows means UTC.

use std::sync::LazyLock;

use freehold_core::profile::Profile;
use jiff::tz::{self, TimeZone};

use crate::fault::Fault;
use crate::languages::{self, Language};

/// The regions whose zones are offered; the others are old names of theirs.
const REGIONS: [&str; 10] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
];

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = tz::db().available().map(|name| name.to_string());
    let is_offered = |name: &String| {
        let region = name.split_once('/').map_or("", |(region, _)| region);
        name == "UTC" || REGIONS.contains(&region)
    };
    let mut names: Vec<String> = all.filter(is_offered).collect();
    names.sort();
    names
});

/// The zone of the site's dates.
pub(crate) fn zone(profile: Option<&Profile>) -> TimeZone {
    let name = profile.map_or("", |profile| &profile.time_zone);
    if name.is_empty() {
        return TimeZone::UTC;
    }
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The zone of this machine, the default for a new owner.
pub(crate) fn of_this_machine() -> String {
    let zone = TimeZone::system();
    let name = zone.iana_name().filter(|name| NAMES.iter().any(|known| known == name));
    name.unwrap_or("UTC").to_owned()
}

/// The name, if there is a zone of this name or if it is empty.
pub(crate) fn known(name: &str) -> Result<String, Fault> {
    let name = name.trim();
    if name.is_empty() || TimeZone::get(name).is_ok() {
        return Ok(name.to_owned());
    }
    let text = "There is no such time zone. Choose the one of a city near you.";
    Err(Fault::new("time_zone", text))
}

/// A time zone to choose.
pub(crate) struct Zone {
    pub(crate) name: &'static str,
    pub(crate) is_chosen: bool,
}

/// The time zones and languages to choose from in a form.
pub(crate) struct LocaleChoice {
    pub(crate) zones: Vec<Zone>,
    /// A chosen zone that is not in the list.
    pub(crate) other_zone: Option<String>,
    pub(crate) languages: Vec<Language>,
    /// The tag of a chosen language that is not in the list.
    pub(crate) other_language: Option<String>,
}

impl LocaleChoice {
    pub(crate) fn of(time_zone: &str, language: &str) -> Self {
        let chosen = if time_zone.is_empty() { "UTC" } else { time_zone };
        let zones = NAMES.iter().map(|name| Zone { name, is_chosen: name == chosen });
        let zones: Vec<Zone> = zones.collect();
        let languages = languages::choices(language);
        let other_zone = zones.iter().all(|zone| !zone.is_chosen).then(|| chosen.to_owned());
        let is_other = languages.iter().all(|language| !language.is_chosen);
        Self { zones, other_zone, other_language: is_other.then(|| language.to_owned()), languages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_time_zones_are_known() {
        assert!(NAMES.len() > 300 && NAMES.iter().any(|name| name == "Asia/Kolkata"));
        assert!(NAMES.iter().all(|name| known(name).is_ok()));
        assert!(known("").is_ok() && known("Europe/Nowhere").is_err() && known("../x").is_err());
        assert!(NAMES.contains(&of_this_machine()));
    }

    #[test]
    fn choice_keeps_what_is_not_in_the_list() {
        let choice = LocaleChoice::of("Etc/GMT+3", "gsw-CH");
        assert_eq!(choice.other_zone.as_deref(), Some("Etc/GMT+3"));
        assert_eq!(choice.other_language.as_deref(), Some("gsw-CH"));
        let choice = LocaleChoice::of("Europe/Berlin", "de");
        assert_eq!((choice.other_zone, choice.other_language), (None, None));
    }
}
