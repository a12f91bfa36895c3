//! What devices this machine has, and what keeps others away.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "tch"))]
use burn::tensor::{Device, DeviceType};

use super::guard::guarded;
use super::{DeviceFailure, DeviceName};

/// A backend, and what it finds here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backend {
    /// Its name in keys, for example `wgpu`.
    pub name: &'static str,
    /// The cargo feature that brings it; `None` where every build has it.
    pub feature: Option<&'static str>,
    /// Whether this build has it.
    pub compiled: bool,
    /// The devices found.
    pub found: Vec<FoundDevice>,
    /// What is wrong, where nothing was found.
    pub problem: Option<String>,
    /// How that is mended.
    pub hint: Option<String>,
}

/// A device of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundDevice {
    /// How it is asked for.
    pub device: DeviceName,
    /// How it calls itself.
    pub description: String,
    /// Whether it is the processor that plays a graphics card.
    pub software: bool,
}

/// Every backend that a build can have, in the order in which `auto` prefers them. Looked for once.
pub fn backends() -> &'static [Backend] {
    static FOUND: OnceLock<Vec<Backend>> = OnceLock::new();
    FOUND.get_or_init(look)
}

fn look() -> Vec<Backend> {
    [
        DeviceName::LibtorchCuda(0),
        DeviceName::Cuda(0),
        DeviceName::Wgpu(None),
        DeviceName::Cpu,
        DeviceName::LibtorchCpu,
        DeviceName::Flex,
    ]
    .map(backend)
    .into()
}

/// What one backend finds.
fn backend(example: DeviceName) -> Backend {
    let compiled = example.is_compiled();
    let found = if compiled {
        guarded(|| find(example))
    } else {
        Ok(Vec::new())
    };
    let (found, problem) = match found {
        Ok(found) if compiled && found.is_empty() => (found, Some("no device".to_owned())),
        Ok(found) => (found, None),
        Err(DeviceFailure::Other(reason) | DeviceFailure::OutOfMemory(reason)) => {
            let first = reason.lines().next().unwrap_or_default().to_owned();
            (Vec::new(), Some(first))
        }
    };
    Backend {
        name: example.backend(),
        feature: example.feature(),
        compiled,
        hint: problem.is_some().then(|| hint(example)),
        found,
        problem,
    }
}

fn find(example: DeviceName) -> Vec<FoundDevice> {
    let one = |description: String| {
        vec![FoundDevice {
            device: example,
            description,
            software: false,
        }]
    };
    match example {
        DeviceName::Cpu => one(format!("{}, our own kernels", processor())),
        DeviceName::Flex => one(format!(
            "{}, burn's kernels; slow, for trying the other devices' way",
            processor()
        )),
        DeviceName::LibtorchCpu => one(format!("{}, LibTorch's kernels", processor())),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu(_) => wgpu_adapters()
            .iter()
            .enumerate()
            .map(|(index, adapter)| FoundDevice {
                device: DeviceName::Wgpu(Some(index)),
                description: describe(adapter),
                software: is_software(adapter),
            })
            .collect(),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(_) => {
            #[cfg(feature = "kernel-cache")]
            super::kernel_cache::keep_kernels();
            numbered(DeviceType::Cuda, DeviceName::Cuda)
        }
        #[cfg(feature = "tch")]
        DeviceName::LibtorchCuda(_) => {
            let cards = Device::enumerate(DeviceType::LibTorch).into_vec();
            // The first is the processor.
            let cards = cards.len().saturating_sub(1);
            (0..cards)
                .map(|index| FoundDevice {
                    device: DeviceName::LibtorchCuda(index),
                    description: nvidia_driver().unwrap_or_else(|| "NVIDIA".to_owned()),
                    software: false,
                })
                .collect()
        }
        #[allow(
            unreachable_patterns,
            reason = "which are left depends on the features"
        )]
        _ => Vec::new(),
    }
}

#[cfg(feature = "cuda")]
fn numbered(kind: DeviceType, name: fn(usize) -> DeviceName) -> Vec<FoundDevice> {
    let devices = Device::enumerate(kind).into_vec();
    let found = devices
        .iter()
        .enumerate()
        .map(|(index, device)| FoundDevice {
            device: name(index),
            description: describe(device),
            software: false,
        });
    found.collect()
}

/// The adapters of wgpu. Looked for once: some drivers complain on stderr each time.
#[cfg(feature = "wgpu")]
pub(super) fn wgpu_adapters() -> Vec<Device> {
    static FOUND: OnceLock<Vec<Device>> = OnceLock::new();
    FOUND
        .get_or_init(|| Device::enumerate(DeviceType::Wgpu).into_vec())
        .clone()
}

/// Whether an adapter is no card but a program.
#[cfg(feature = "wgpu")]
pub(super) fn is_software(adapter: &Device) -> bool {
    adapter
        .identity()
        .is_none_or(|identity| identity.physical.is_none())
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn describe(device: &Device) -> String {
    device
        .identity()
        .map_or_else(|| "unnamed".to_owned(), |identity| identity.name)
}

/// How a device calls itself, with its driver where that is known; for the provenance.
pub fn description(device: DeviceName) -> String {
    let backend = backends()
        .iter()
        .find(|backend| backend.name == device.backend());
    let found = backend.map(|backend| backend.found.clone());
    let found = found.unwrap_or_default();
    let same =
        |found: &&FoundDevice| found.device == device || matches!(device, DeviceName::Wgpu(None));
    let name = found
        .iter()
        .filter(same)
        .min_by_key(|found| found.software)
        .map(|found| found.description.clone());
    let driver = match device {
        DeviceName::Cuda(_) => nvidia_driver(),
        _ => None,
    };
    let parts: Vec<String> = name.into_iter().chain(driver).collect();
    parts.join("; ")
}

/// The best device that answers, and why it.
pub fn auto() -> (DeviceName, String) {
    let mut passed_over = Vec::new();
    for backend in backends() {
        if backend.name == DeviceName::Cpu.backend() {
            break;
        }
        if !backend.compiled {
            continue;
        }
        for found in &backend.found {
            if found.software {
                passed_over.push(format!("{} is a program, not a card", found.device));
                continue;
            }
            match found.device.open() {
                Ok(_) => return (found.device, found.description.clone()),
                Err(_) => passed_over.push(format!("{} does not answer", found.device)),
            }
        }
        if let Some(problem) = &backend.problem {
            passed_over.push(format!("{}: {problem}", backend.name));
        }
    }
    let reason = if passed_over.is_empty() {
        "this build has no other".to_owned()
    } else {
        passed_over.join("; ")
    };
    (DeviceName::Cpu, reason)
}

/// How a device that is not there can be had.
pub(super) fn hint(device: DeviceName) -> String {
    match device {
        DeviceName::Wgpu(_) if cfg!(target_os = "linux") && !library("libvulkan.so.1") => {
            "there is no Vulkan loader: install libvulkan1 and the card's driver (mesa-vulkan-drivers brings one that needs no card)".to_owned()
        }
        DeviceName::Wgpu(_) => {
            "a driver for Vulkan, Metal or DirectX 12 is needed; `vulkaninfo --summary` shows what Vulkan finds, mesa-vulkan-drivers brings one that needs no card".to_owned()
        }
        DeviceName::Cuda(_) | DeviceName::LibtorchCuda(_) if nvidia_driver().is_none() => {
            "NVIDIA's driver is not loaded; `nvidia-smi` shows whether it is".to_owned()
        }
        DeviceName::Cuda(_) => {
            "the driver is there; NVRTC (libnvrtc) of a CUDA toolkit is needed beside it, and the card's number must be one that `nvidia-smi -L` lists".to_owned()
        }
        DeviceName::LibtorchCuda(_) => {
            "the driver is there; was LibTorch built with CUDA (pip install \"torch==2.9.*\"), and is the card's number one that `nvidia-smi -L` lists?".to_owned()
        }
        DeviceName::LibtorchCpu => {
            "LD_LIBRARY_PATH must name LibTorch's lib folder; see docs/devices.md".to_owned()
        }
        DeviceName::Cpu | DeviceName::Flex => "please report this".to_owned(),
    }
}

/// Whether the dynamic linker would find a library, as far as its usual folders tell.
fn library(name: &str) -> bool {
    let named = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let usual = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
        "/lib",
        "/usr/local/lib",
        "/run/opengl-driver/lib",
    ];
    std::env::split_paths(&named)
        .chain(usual.map(PathBuf::from))
        .any(|folder| folder.join(name).exists())
}

/// NVIDIA's driver, as the system names it.
fn nvidia_driver() -> Option<String> {
    let text = std::fs::read_to_string(Path::new("/proc/driver/nvidia/version")).ok()?;
    Some(text.lines().next()?.trim().to_owned())
}

/// The processor's name and cores.
fn processor() -> String {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_cpu(sysinfo::CpuRefreshKind::nothing()),
    );
    let name = system
        .cpus()
        .first()
        .map(|cpu| cpu.brand().trim().to_owned());
    let name = name.filter(|name| !name.is_empty());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores",
        name.unwrap_or_else(|| "processor".to_owned())
    )
}
