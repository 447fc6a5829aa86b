//! The data plane: rdkafka's home. Canary records go out and come back.
