//! The exposition: prometheus' home. Built from one published turn at each scrape.
