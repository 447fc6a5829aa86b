//! What the kernel says of a process.

/// A number of `/proc/PID/status`, in its unit: KiB for memory.
///
/// Not `ru_maxrss`, which a process inherits from the one that started it.
pub(crate) fn number(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{field} is not a number in the status of {pid}"))
}
