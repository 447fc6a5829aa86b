//! Query parameters: each is read or refused by name, with the values that are allowed.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;

use super::error::Problem;
use crate::model::Timestamp;

/// The parameters of a request, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.query().unwrap_or_default()))
    }
}

impl Parameters {
    /// The parameters of a query string.
    pub(super) fn of(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Refuses what is not in `known`: a misspelt filter would show everything as if it matched.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let problem = if known.is_empty() {
                    "there are no parameters here".to_owned()
                } else {
                    format!("is not known here; known are {}", known.join(", "))
                };
                Err(Problem::BadParameter { name: name.chars().take(100).collect(), problem })
            }
        }
    }

    /// Any text; an empty one counts as none, as forms send it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|text| !text.is_empty())
    }

    /// Any text, also an empty one.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Any text, also an empty one, which must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        let problem = || Problem::BadParameter {
            name: name.to_owned(),
            problem: "is required here; any text is allowed".to_owned(),
        };
        self.raw(name).ok_or_else(problem)
    }

    /// One of the allowed words.
    pub(super) fn word(&self, name: &str, allowed: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match allowed.iter().find(|word| **word == value) {
            Some(word) => Ok(Some(word)),
            None => Err(Problem::not_allowed(name, value, &allowed.join(", "))),
        }
    }

    /// A whole number between `lowest` and `highest`.
    pub(super) fn number(&self, name: &str, lowest: u64, highest: u64) -> Result<Option<u64>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match value.parse::<u64>() {
            Ok(number) if (lowest..=highest).contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => {
                Err(Problem::not_allowed(name, value, &format!("whole numbers from {lowest} to {highest}")))
            }
        }
    }

    /// An instant in RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        // A plus that is not percent-encoded arrives as a space.
        let text = serde_json::Value::String(value.replace(' ', "+"));
        match serde_json::from_value(text) {
            Ok(at) => Ok(Some(at)),
            Err(_) => Err(Problem::not_allowed(name, value, "times in RFC 3339, such as 2026-11-22T08:28:23.007Z")),
        }
    }

    /// The same for another page.
    pub(super) fn with_page(&self, page: u64) -> Self {
        let mut other: Vec<_> = self.0.iter().filter(|(name, _)| name != "page").cloned().collect();
        other.push(("page".to_owned(), page.to_string()));
        Self(other)
    }

    /// A path with these parameters.
    pub(super) fn appended_to(&self, path: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(_, value)| !value.is_empty()));
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// Which page is wanted.
    pub(super) fn paging(&self) -> Result<Paging, Problem> {
        let page = self.number("page", 1, u64::from(u32::MAX))?.unwrap_or(1);
        let per_page = self.number("per_page", 1, 1_000)?.unwrap_or(100);
        Ok(Paging { page, per_page })
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// From 1.
    pub(super) page: u64,
    /// How many items it has at most.
    pub(super) per_page: u64,
}

impl Paging {
    /// The items before this page.
    pub(super) fn skip(self) -> u64 {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// This page of `all`.
    pub(super) fn of<T>(self, all: Vec<T>) -> (Vec<T>, u64) {
        let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let items = all.into_iter().skip(whole(self.skip())).take(whole(self.per_page)).collect();
        (items, total)
    }

    /// The list of the contract.
    pub(super) fn list<T>(self, all: Vec<T>, as_of: Option<Timestamp>) -> List<T> {
        let (items, total) = self.of(all);
        List { items, total, page: self.page, per_page: self.per_page, as_of }
    }
}

/// A list as the contract has it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    pub(super) total: u64,
    pub(super) page: u64,
    pub(super) per_page: u64,
    pub(super) as_of: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_parameter_is_refused_by_name_with_what_is_allowed() {
        let words: &[&str] = &["open", "closed", "all"];
        let cases = [
            ("state=opne", "parameter state: \"opne\" is not allowed; allowed are open, closed, all"),
            ("page=0", "parameter page: \"0\" is not allowed; allowed are whole numbers from 1 to 4294967295"),
            ("page=-1", "parameter page: \"-1\" is not allowed; allowed are whole numbers from 1 to 4294967295"),
            (
                "since=yesterday",
                "parameter since: \"yesterday\" is not allowed; allowed are times in RFC 3339, such as \
                 2026-11-22T08:28:23.007Z",
            ),
            ("grop=x", "parameter grop: is not known here; known are state, page, since"),
        ];
        for (query, want) in cases {
            let parameters = Parameters::of(query);
            let answer = parameters
                .only(&["state", "page", "since"])
                .and_then(|()| parameters.word("state", words))
                .and_then(|_| parameters.paging())
                .and_then(|_| parameters.time("since"));
            assert_eq!(answer.expect_err(query).to_string(), want);
        }
    }

    #[test]
    fn what_is_allowed_is_read() {
        let parameters = Parameters::of("state=open&page=3&q=&since=2026-11-22T09:28:23.007+01:00&id=%F0%9F%A6%86%2F");
        assert_eq!(parameters.word("state", &["open"]), Ok(Some("open")));
        assert_eq!(parameters.paging(), Ok(Paging { page: 3, per_page: 100 }));
        assert_eq!(parameters.text("q"), None);
        assert_eq!(parameters.raw("q"), Some(""));
        assert_eq!(parameters.time("since"), Ok(Some(Timestamp::from_millis(1_795_336_103_007))));
        assert_eq!(parameters.text("id"), Some("🦆/"));
    }

    #[test]
    fn a_page_beyond_the_last_is_empty_and_keeps_the_total() {
        let paging = Paging { page: 9, per_page: 2 };
        assert_eq!(paging.of(vec![1, 2, 3]), (vec![], 3));
        assert_eq!(Paging { page: 2, per_page: 2 }.of(vec![1, 2, 3]), (vec![3], 3));
    }
}
