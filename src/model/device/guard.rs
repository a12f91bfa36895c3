//! Devices fail by panics; here they become errors, and running out of memory one that can be answered.

use crate::guard::catch;

/// How a device failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeviceFailure {
    /// Its memory does not suffice.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What drivers and runtimes say when memory runs out, in lower case.
const OUT_OF_MEMORY: &[&str] = &[
    "out of memory",
    "out-of-memory",
    "out of device memory",
    "out_of_memory",
    "outofmemory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate",
    "can't allocate buffer",
    "buffertoobig",
    "buffer too big",
    // CubeCL's, of memory in pages.
    "still holds live allocations",
];

/// Runs `work`; a panic of the device's backend comes back as an error and prints nothing.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, DeviceFailure> {
    catch(work).map_err(|panic| classify(&panic.message))
}

fn classify(message: &str) -> DeviceFailure {
    let lower = message.to_lowercase();
    let first = message.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or("it gave no reason").trim().to_owned();
    if OUT_OF_MEMORY.iter().any(|sign| lower.contains(sign)) {
        DeviceFailure::OutOfMemory(first)
    } else {
        DeviceFailure::Other(message.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_memory_is_told_from_other_failures() {
        for message in [
            "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried to allocate 2 GiB\")",
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes",
            "CUDA_ERROR_OUT_OF_MEMORY",
            "out of device memory allocating 1048576 bytes",
            "An out-of-memory error happened during launch\nCaused by:\n  no page",
            "Can't allocate 4 bytes: every page size the memory tracks still holds live allocations",
        ] {
            let outcome = guarded::<()>(|| panic!("{message}"));
            assert!(
                matches!(outcome, Err(DeviceFailure::OutOfMemory(_))),
                "{message}"
            );
        }
        assert_eq!(
            guarded::<()>(|| panic!("shader refused")),
            Err(DeviceFailure::Other("shader refused".to_owned()))
        );
        assert_eq!(guarded(|| 3), Ok(3));
    }
}
