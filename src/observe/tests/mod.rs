//! Whole turns: a small world, what happens to it, and what the observation must say.

mod lags;
mod properties;
mod rewinds;
mod topology;
mod verdicts;
