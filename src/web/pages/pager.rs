//! Steps through a list that does not fit on one page.

use super::text;
use crate::web::query::{Paging, Parameters};

/// Where a page lies in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pager {
    pub(super) total: String,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) before: Option<String>,
    pub(super) next: Option<String>,
}

impl Pager {
    pub(super) fn of(asked: &Parameters, path: &str, paging: Paging, total: u64) -> Self {
        let last = paging.skip().saturating_add(paging.per_page).min(total);
        Self {
            total: text::count(total),
            first: (paging.skip() + 1).min(last),
            last,
            before: (paging.page > 1).then(|| asked.with_page(paging.page - 1).appended_to(path)),
            next: (last < total).then(|| asked.with_page(paging.page + 1).appended_to(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_keeps_the_filters() {
        let asked = Parameters::of("q=a%26b&page=2&per_page=10");
        let pager = Pager::of(&asked, "/x", asked.paging().expect("allowed"), 25);
        assert_eq!((pager.first, pager.last), (11, 20));
        assert_eq!(pager.before.as_deref(), Some("/x?q=a%26b&per_page=10&page=1"));
        assert_eq!(pager.next.as_deref(), Some("/x?q=a%26b&per_page=10&page=3"));
        let none = Pager::of(&Parameters::default(), "/x", Parameters::default().paging().expect("allowed"), 0);
        assert_eq!((none.first, none.last, none.before, none.next), (0, 0, None, None));
    }
}
