//! The configuration: from a file and the environment to values, or to every problem at once.
