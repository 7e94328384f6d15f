//! [`UserAgent`]: browser, system and kind of the program that a user agent names.

use evs_core::{Condition, Field};
use woothee::parser::Parser;

/// The meaning of the values, which stands in definitions. Raise it when any value changes for any agent: after another
/// version of the crate `woothee`, whose version the workspace pins, or after a change of the code here. The table of agents
/// in the tests shows such a change.
const VERSION: u32 = 1;

/// Libraries that `woothee` does not know: how their agents begin, and the language, as `woothee` names it for others.
const LIBRARIES: [(&str, &str); 9] = [
    ("GuzzleHttp/", "php"),
    ("Go-http-client/", "go"),
    ("Python/", "python"),
    ("axios/", "javascript"),
    ("node-fetch", "javascript"),
    ("okhttp/", "Java"),
    ("python-httpx/", "python"),
    ("python-requests/", "python"),
    ("undici", "javascript"),
];

/// The fields that [`user_agent`] derives from a field with a client's user agent.
///
/// | method | values | column |
/// | --- | --- | --- |
/// | [`browser`](Self::browser) | `Chrome`, `Firefox`, `Googlebot`, `curl`, … | `browser` |
/// | [`browser_version`](Self::browser_version) | `126` | `browser_version` |
/// | [`os`](Self::os) | `Windows 10`, `Android`, `iPhone`, … | `os` |
/// | [`category`](Self::category) | `pc`, `smartphone`, `crawler`, … | `category` |
///
/// The values come from the crate [`woothee`](https://docs.rs/woothee). A value that it does not know is absent (`-`). All
/// values but versions come from a list, so a client cannot invent new ones, and a column of them stays small.
///
/// # Limits
///
/// A user agent is a claim: a program can send any. And browsers say less than they did:
///
/// - Windows 11 is `Windows 10`, since browsers say so, and an iPad is a Macintosh unless its user asks for mobile pages.
/// - A tablet is a `smartphone`.
/// - Brave, HeadlessChrome and other browsers that call themselves Chrome are `Chrome`. So are Google's fetchers that have no
///   `bot` in their name, such as GoogleOther. Opera on iOS, DuckDuckGo and others that call themselves Safari are `Safari`.
/// - A PlayStation 5 and television sets have no system of their own, and an app on iOS (`CFNetwork`) and Android (`Dalvik`)
///   has no browser.
/// - Scanners and readers of feeds whose names do not say so are absent, such as CensysInspect, zgrab and Feedly. A condition
///   on the agent's own text can tell them: `field("http_user_agent").contains("zgrab")`.
#[derive(Clone, Debug)]
pub struct UserAgent {
    agent: Field,
}

/// Derives fields from a user agent: the browser, its version, the system, and the kind of device or program.
///
/// ```
/// use evs::{Statistic, count, user_agent};
///
/// let agent = user_agent("http_user_agent");
/// let browsers = Statistic::named("browsers")
///     .only(!agent.is_crawler())
///     .group_by([agent.browser(), agent.browser_version(), agent.os()])
///     .measure(count());
/// assert_eq!(agent.os().to_string(), "user_agent_os@1(http_user_agent)");
/// ```
pub fn user_agent(agent: impl Into<Field>) -> UserAgent {
    UserAgent { agent: agent.into() }
}

impl UserAgent {
    /// The name of the browser, the crawler or the library: `Chrome`, `Edge`, `Safari`, `Internet Explorer`, `SamsungBrowser`,
    /// `Webview` for a page within an app, `Googlebot`. A crawler without a name of its own here is `misc crawler`. A library is
    /// `curl`, `wget` or its language: `python`, `Java`, `go`, `php`, `javascript`, `perl`, `ruby`.
    ///
    /// ```
    /// assert_eq!(evs::user_agent("http_user_agent").browser().name(), "browser");
    /// ```
    #[must_use]
    pub fn browser(&self) -> Field {
        self.derive("browser", |agent| agent.browser)
    }

    /// The first number of the browser's version, of up to four digits: `126`. Crawlers, libraries and `Webview` have none.
    ///
    /// ```
    /// use evs::user_agent;
    ///
    /// let is_old = user_agent("http_user_agent").browser_version().lt(100);
    /// ```
    #[must_use]
    pub fn browser_version(&self) -> Field {
        self.derive("browser_version", |agent| agent.version)
    }

    /// The operating system or the device: `Windows 10`, `Windows 7`, `Mac OSX`, `Linux`, `ChromeOS`, `Android`, `iPhone`,
    /// `iPad`, `PlayStation 4`. Only Windows has a version. Crawlers have none.
    ///
    /// ```
    /// assert_eq!(evs::user_agent("http_user_agent").os().name(), "os");
    /// ```
    #[must_use]
    pub fn os(&self) -> Field {
        self.derive("os", |agent| agent.os)
    }

    /// The kind of device or program: `pc`, `smartphone`, `mobilephone`, `appliance` for consoles and television sets,
    /// `crawler`, or `misc` for libraries and readers of feeds.
    ///
    /// A program is a `crawler` if `woothee` knows it as one, or if a word of the agent ends in `bot`, `crawler` or `spider`:
    /// so GPTBot, ClaudeBot and Applebot are.
    ///
    /// ```
    /// assert_eq!(evs::user_agent("http_user_agent").category().name(), "category");
    /// ```
    #[must_use]
    pub fn category(&self) -> Field {
        self.derive("category", |agent| agent.category)
    }

    /// True for a crawler: see [`category`](Self::category).
    ///
    /// ```
    /// use evs::{Statistic, count, user_agent};
    ///
    /// let people = Statistic::named("people").only(!user_agent("http_user_agent").is_crawler()).measure(count());
    /// ```
    #[must_use]
    pub fn is_crawler(&self) -> Condition {
        self.category().eq("crawler")
    }

    fn derive(&self, column: &str, part: for<'a> fn(Agent<'a>) -> Option<&'a str>) -> Field {
        let write = move |agent: &[u8], out: &mut Vec<u8>| {
            let agent = String::from_utf8_lossy(agent);
            out.extend_from_slice(part(Agent::read(&agent)).unwrap_or("-").as_bytes());
        };
        self.agent.clone().map(format!("user_agent_{column}"), VERSION, write).named(column)
    }
}

/// The parts of a user agent that are known.
#[derive(Debug, Default, PartialEq, Eq)]
struct Agent<'a> {
    browser: Option<&'a str>,
    version: Option<&'a str>,
    os: Option<&'a str>,
    category: Option<&'a str>,
}

impl<'a> Agent<'a> {
    fn read(text: &'a str) -> Self {
        let found = Parser::new().parse(text).unwrap_or_default();
        let category = known(found.category);
        let library = LIBRARIES.iter().find(|(start, _)| category.is_none() && text.starts_with(start));
        if let Some((_, language)) = library {
            return Self { browser: Some(language), category: Some("misc"), ..Self::default() };
        }
        if category != Some("crawler") && names_crawler(text) {
            return Self { browser: Some("misc crawler"), category: Some("crawler"), ..Self::default() };
        }
        let browser = match found.name {
            // The name is in the place of the version: `curl`, `Java`.
            "HTTP Library" => found.version,
            name => name,
        };
        // The version of a page within an Android app is always 4.
        let version = if browser == "Webview" { None } else { major(found.version) };
        let os = if found.os == "Windows UNKNOWN Ver" { "Windows" } else { found.os };
        Self { browser: known(browser), version, os: known(os), category }
    }
}

/// The text, unless `woothee` does not know the value.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty() && text != woothee::woothee::VALUE_UNKNOWN).then_some(text)
}

/// The first number of a version. A client may write anything there, so it has few digits.
fn major(version: &str) -> Option<&str> {
    let digits = version.split('.').next()?;
    let is_number = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(digits)
}

/// True if a word ends in `bot`, `crawler` or `spider`. `woothee` does not look for them in agents that claim to be a browser,
/// as those of most crawlers do. Cubot makes phones.
fn names_crawler(agent: &str) -> bool {
    let agent = agent.as_bytes();
    ["bot", "crawler", "spider"].iter().any(|word| {
        agent.windows(word.len()).enumerate().any(|(at, found)| {
            let (before, after) = (agent[..at].last_chunk::<2>(), agent.get(at + word.len()));
            found.eq_ignore_ascii_case(word.as_bytes())
                && !after.is_some_and(u8::is_ascii_alphanumeric)
                && !before.is_some_and(|before| before.eq_ignore_ascii_case(b"cu"))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Browser, version, system and category, with `-` for what is absent.
    fn parts(agent: &str) -> [&str; 4] {
        let Agent { browser, version, os, category } = Agent::read(agent);
        [browser, version, os, category].map(|part| part.unwrap_or("-"))
    }

    /// If this table changes, [`VERSION`] must: rows with the old and the new values would be added up.
    #[test]
    fn agents_are_read() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                ["Chrome", "126", "Windows 10", "pc"],
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                ["Chrome", "126", "Linux", "pc"],
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                ["Chrome", "126", "Android", "smartphone"],
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
                ["Chrome", "126", "iPhone", "smartphone"],
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87",
                ["Edge", "126", "Windows 10", "pc"],
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
                ["Firefox", "127", "Windows 10", "pc"],
            ),
            (
                "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
                ["Firefox", "127", "Android", "smartphone"],
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                ["Safari", "17", "Mac OSX", "pc"],
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                ["Safari", "17", "iPhone", "smartphone"],
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                ["SamsungBrowser", "25", "Android", "smartphone"],
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 OPR/111.0.0.0",
                ["Opera", "111", "Windows 10", "pc"],
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.71 Mobile Safari/537.36",
                ["Webview", "-", "Android", "smartphone"],
            ),
            (
                "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
                ["Internet Explorer", "11", "Windows 7", "pc"],
            ),
            ("Mozilla/5.0 (Windows; x64) Gecko/20100101 Firefox/127.0", ["Firefox", "127", "Windows", "pc"]),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                ["Chrome", "126", "ChromeOS", "pc"],
            ),
            (
                "Mozilla/5.0 (PlayStation 4 11.50) AppleWebKit/605.1.15 (KHTML, like Gecko)",
                ["PlayStation 4", "-", "PlayStation 4", "appliance"],
            ),
            (
                "Mozilla/5.0 (PlayStation; PlayStation 5/9.60) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
                ["Safari", "13", "-", "-"],
            ),
            ("DoCoMo/2.0 N905i(c100;TB;W24H16)", ["docomo", "-", "docomo", "mobilephone"]),
            ("MyApp/3.2 CFNetwork/1496.0.7 Darwin/23.5.0", ["-", "-", "iOS", "smartphone"]),
            (
                "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.126 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                ["Googlebot", "-", "-", "crawler"],
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
                ["bingbot", "-", "-", "crawler"],
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
                ["misc crawler", "-", "-", "crawler"],
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
                ["misc crawler", "-", "-", "crawler"],
            ),
            (
                "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                ["Chrome", "126", "Android", "smartphone"],
            ),
            (
                "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
                ["facebook", "-", "-", "crawler"],
            ),
            ("curl/8.5.0", ["curl", "-", "-", "misc"]),
            ("Wget/1.21.4", ["wget", "-", "-", "misc"]),
            ("Apache-HttpClient/4.5.14 (Java/17.0.11)", ["Java", "-", "-", "misc"]),
            ("python-requests/2.31.0", ["python", "-", "-", "misc"]),
            ("Python/3.11 aiohttp/3.9.1", ["python", "-", "-", "misc"]),
            ("Python-urllib/3.11", ["python", "-", "-", "misc"]),
            ("Go-http-client/1.1", ["go", "-", "-", "misc"]),
            ("okhttp/4.12.0", ["Java", "-", "-", "misc"]),
            ("python-httpx/0.27.0", ["python", "-", "-", "misc"]),
            ("GuzzleHttp/7", ["php", "-", "-", "misc"]),
            ("undici", ["javascript", "-", "-", "misc"]),
            ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", ["javascript", "-", "-", "misc"]),
            // A library as part of a crawler.
            ("python-requests/2.31.0 examplebot/1.0", ["misc crawler", "-", "-", "crawler"]),
            ("axios/1.7.2", ["javascript", "-", "-", "misc"]),
            ("CensysInspect/1.1", ["-", "-", "-", "-"]),
        ] {
            assert_eq!(parts(agent), expected, "{agent}");
        }
        assert_eq!(VERSION, 1, "the meaning of version 1 is the table above");
    }

    #[test]
    fn odd_agents_have_no_parts() {
        let long = "Mozilla/5.0 (".repeat(700);
        for agent in ["", "-", " ", "Mozilla/5.0", "\0\0\0", "\u{fffd}\u{fffd}", "UNKNOWN", &long] {
            assert_eq!(parts(agent), ["-"; 4], "{agent:?}");
        }
    }

    #[test]
    fn clients_cannot_invent_long_versions() {
        for (version, expected) in
            [("126.0", "126"), ("9999", "9999"), ("10000", "-"), (".1", "-"), ("...", "-"), ("0", "0")]
        {
            assert_eq!(parts(&format!("X Firefox/{version}"))[..2], ["Firefox", expected], "{version}");
        }
    }

    #[test]
    fn words_that_name_crawlers_are_found() {
        for (agent, expected) in [
            ("GPTBot", true),
            ("a bot", true),
            ("examplebot/1.0", true),
            ("Baiduspider-render/2.0", true),
            ("SomeCrawler; x", true),
            ("bo", false),
            ("bottle/0.1", false),
            ("Botany", false),
            ("spiders", false),
            ("CUBOT_X19", false),
            ("cubot; examplebot", true),
        ] {
            assert_eq!(names_crawler(agent), expected, "{agent}");
        }
    }

    #[test]
    fn the_definition_has_the_value_and_the_version() {
        let agent = user_agent("http_user_agent");
        for (field, text, column) in [
            (agent.browser(), "user_agent_browser@1(http_user_agent)", "browser"),
            (agent.browser_version(), "user_agent_browser_version@1(http_user_agent)", "browser_version"),
            (agent.os(), "user_agent_os@1(http_user_agent)", "os"),
            (agent.category(), "user_agent_category@1(http_user_agent)", "category"),
        ] {
            assert_eq!((&*field.to_string(), &*field.name()), (text, column));
        }
        assert_eq!(agent.is_crawler().to_string(), "user_agent_category@1(http_user_agent) = \"crawler\"");
    }

    proptest! {
        #[test]
        fn no_agent_is_too_odd(bytes in vec(any::<u8>(), 0..300)) {
            let text = String::from_utf8_lossy(&bytes);
            let Agent { version, .. } = Agent::read(&text);
            prop_assert!(version.is_none_or(|version| version.len() <= 4));
        }

        /// Pieces that lead into all parts of the parser, cut and joined anywhere.
        #[test]
        fn no_mixture_of_agents_is_too_odd(
            pieces in vec((prop::sample::select(PIECES.to_vec()), any::<prop::sample::Index>(), "\\PC{0,3}"), 1..12),
        ) {
            let mut agent = String::new();
            for (piece, at, between) in pieces {
                agent.push_str(&piece[..=at.index(piece.len())].replace('\0', ""));
                agent.push_str(&between);
            }
            let Agent { browser, version, os, category } = Agent::read(&agent);
            prop_assert!(version.is_none_or(|version| version.len() <= 4));
            for part in [browser, os, category].into_iter().flatten() {
                prop_assert!(!part.is_empty() && part.len() < 32, "{part}");
            }
        }
    }

    const PIECES: [&str; 36] = [
        "Mozilla/5.0 (",
        "compatible; ",
        "Windows NT 10.0; ",
        "Windows Phone OS 8.0; ",
        "Macintosh; Intel Mac OS X 10_15_7) ",
        "iPhone; CPU iPhone OS 17_5 like Mac OS X) ",
        "iPad; ",
        "iPod",
        "X11; CrOS 1) ",
        "X11; FreeBSD 14;",
        "Linux; Android 10; ",
        "Chrome/126.0 ",
        "wv",
        "Safari/537.36",
        "Version/17.5 ",
        "Firefox/127.0",
        "FxiOS/1 ",
        "OPR/1",
        "Opera",
        "Opera/9.8 ",
        "MSIE 8.0; ",
        "Trident/7.0; rv:11.0",
        "IEMobile/10.0;",
        "SamsungBrowser/25.0 ",
        "YaBrowser/1.2.3.4 ",
        "GSA/1",
        "DoCoMo/2.0 N905i",
        ";FOMA;",
        "KDDI-TS3H ",
        "SoftBank/1.0/930SH/",
        "WILLCOM;JRC/WX310K/2",
        "jig browser web; 1)",
        "PSP (PlayStation Portable); 2.00)",
        "PLAYSTATION 3; 1.00)",
        "BB10; Version/10 ",
        "Sleipnir/2.9",
    ];
}
