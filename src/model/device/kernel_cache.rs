//! Where compiled kernels lie between processes.

use burn::cubecl::config::cache::CacheConfig;
use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

/// Lets compiled kernels be kept in the user's cache folder: to compile those of a model takes longer than to load them, and
/// every process needs the same. What else a `cubecl.toml` says stays.
pub(super) fn keep_kernels() {
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    config.compilation.cache = true;
    config.environment.path = CacheConfig::Global;
    // Where something has read the configuration before, it stays as it is, and kernels are compiled again.
    CubeClRuntimeConfig::try_set(config);
}
