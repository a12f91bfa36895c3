//! The names of `cubecl-llvm` that `cubecl-cuda` uses, without the compiler: see README.md.
//!
//! Kernels go through CUDA C++ and NVRTC. Whoever asks for LLVM all the same is told that it is not here.

use std::convert::Infallible;
use std::ffi::c_char;
use std::fmt;

use cubecl_core::Compiler;
use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::CompilationError;
use cubecl_runtime::kernel::BufferIOAttr;

/// NVIDIA's assembly.
pub mod nvptx {
    /// Its versions.
    pub mod ptx_version {
        use std::convert::Infallible;
        use std::fmt;

        /// A version to compile for; there is none, since nothing is compiled.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct PtxVersion(Infallible);

        impl PtxVersion {
            /// The newest that a driver loads.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {}
            }
        }
    }
}

/// What all of the compiler's targets share.
pub mod shared {
    /// What a device can do, as far as the compiler can.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// A kind of card.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA's.
            Nvptx,
        }

        /// Takes away what the compiler cannot do. It is asked only where kernels are to be compiled by LLVM, which
        /// fails.
        pub fn restrict_features(_props: &mut DeviceProperties, _target: GpuTarget) {}
    }
}

/// What is compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// NVIDIA's cards.
    #[default]
    Nvptx,
}

/// The compiler that is not here.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// What it would compile for.
    pub target: LlvmTarget,
}

/// What the compiler would be told.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// AMD's architecture; none.
    pub arch: Option<Infallible>,
    /// NVIDIA's architecture.
    pub sm_arch: Option<SmArch>,
    /// The version of NVIDIA's assembly.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// Whether scalars are passed in the kernel's parameters.
    pub grid_constants: bool,
}

/// A compiled kernel; nothing makes one.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// Assembly, ended by a zero.
    pub ptx: Vec<c_char>,
    /// The kernel's name.
    pub entrypoint: String,
    /// What the assembly was made of.
    pub ir: String,
    /// Shared memory of a launch, in bytes.
    pub shared_memory_size: usize,
    /// Which buffers are read and written.
    pub io: Vec<BufferIOAttr>,
}

/// What the compiler would give.
#[derive(Clone)]
pub enum PlironArtifact {
    /// A kernel for NVIDIA's cards.
    NvptxCode(NvptxModule),
    /// One for another target; there is none.
    Other(Infallible),
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NvptxCode(module) => f.write_str(&module.ir),
            Self::Other(none) => match *none {},
        }
    }
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &Self::CompilationOptions,
    ) -> Result<Self::Representation, CompilationError> {
        Err(CompilationError::Generic {
            reason: "this build compiles kernels by NVRTC alone; LLVM is not in it".to_owned(),
            backtrace: BackTrace::capture(),
        })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
