//! What a program is confined by on Unix: limits, a network of its own, and one end for it and its children.
#![expect(
    unsafe_code,
    reason = "limits and namespaces are set between fork and exec, where only the system's own calls may be made"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::error::ProgramError;
use super::params::ProgramParams;

/// What stands for a failure to make a network, among the errors that starting a program can have: no call of it gives that.
#[cfg(target_os = "linux")]
const NO_NETWORK: i32 = libc::ENONET;

/// Confines what `command` will start.
///
/// # Errors
/// This system cannot keep it off the network.
#[cfg_attr(
    target_os = "linux",
    expect(clippy::unnecessary_wraps, reason = "another system may refuse")
)]
pub(super) fn confine(command: &mut Command, params: &ProgramParams) -> Result<(), ProgramError> {
    #[cfg(not(target_os = "linux"))]
    if !params.network {
        return Err(ProgramError::Network {
            command: params.words(),
            why: "that takes Linux".to_owned(),
        });
    }
    let memory = u64::from(params.memory_limit_mib) << 20;
    #[cfg(target_os = "linux")]
    let network = (!params.network).then(Maps::of_this_user);
    // A group of its own, which is ended as a whole, and which a Ctrl-C on the terminal does not reach before us.
    command.process_group(0);
    let confine = move || {
        limit(libc::RLIMIT_AS, memory)?;
        limit(libc::RLIMIT_CORE, 0)?;
        #[cfg(target_os = "linux")]
        {
            // SAFETY: a plain call; should this process be killed, the program shall not go on alone.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            if let Some(maps) = &network {
                maps.leave_the_network()?;
            }
        }
        Ok(())
    };
    // SAFETY: the closure allocates nothing, takes no lock and makes calls of the system alone.
    unsafe { command.pre_exec(confine) };
    Ok(())
}

/// Lets what `command` will start lead a group of its own, and not outlive this process.
pub(super) fn tie(command: &mut Command) {
    command.process_group(0);
    // SAFETY: the closure allocates nothing, takes no lock and makes a plain call.
    #[cfg(target_os = "linux")]
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        })
    };
}

/// The type that names a limit, which is not the same everywhere.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = libc::c_int;

/// Lowers a limit of this process; it may not be raised above what it is.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `now` is the struct that the call fills.
    if unsafe { libc::getrlimit(resource, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let most = libc::rlim_t::from(most).min(now.rlim_max);
    let wanted = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: `wanted` is the struct that the call reads.
    if unsafe { libc::setrlimit(resource, &raw const wanted) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Who this user is in a namespace of users: the same as outside.
#[cfg(target_os = "linux")]
struct Maps {
    user: String,
    group: String,
}

#[cfg(target_os = "linux")]
impl Maps {
    fn of_this_user() -> Self {
        // SAFETY: both calls always succeed.
        let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
        Self {
            user: format!("{user} {user} 1"),
            group: format!("{group} {group} 1"),
        }
    }

    /// Goes to a network of its own, in which there is nobody; who may not do that may as the owner of users of its own.
    fn leave_the_network(&self) -> io::Result<()> {
        // SAFETY: plain calls, in a process of one thread.
        unsafe {
            if libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) == 0 {
                // Without these it would run as nobody, which most programs do not mind.
                write(c"/proc/self/setgroups", b"deny");
                write(c"/proc/self/uid_map", self.user.as_bytes());
                write(c"/proc/self/gid_map", self.group.as_bytes());
                return Ok(());
            }
            if libc::unshare(libc::CLONE_NEWNET) == 0 {
                return Ok(());
            }
        }
        Err(io::Error::from_raw_os_error(NO_NETWORK))
    }
}

/// Writes a small file of the system, if it can.
#[cfg(target_os = "linux")]
fn write(path: &std::ffi::CStr, content: &[u8]) {
    // SAFETY: the path ends with a zero, and the content is as long as it is said to be.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, content.as_ptr().cast(), content.len());
            libc::close(file);
        }
    }
}

/// Why a program that could not be started has no network of its own, if that is why.
pub(super) fn no_network_of_its_own(error: &io::Error) -> Option<String> {
    #[cfg(target_os = "linux")]
    if error.raw_os_error() == Some(NO_NETWORK) {
        return Some(
            "it lets a user make no namespace of users and network (unshare is refused, as in many containers)"
                .to_owned(),
        );
    }
    let _ = error;
    None
}

/// Whether a child has ended. It is not collected, so that its number stays its own.
pub(super) fn has_ended(pid: u32) -> bool {
    // SAFETY: `found` is a struct of numbers, which the call fills; it is told not to wait.
    unsafe {
        let mut found: libc::siginfo_t = std::mem::zeroed();
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid, &raw mut found, how) != 0 || found.si_signo != 0
    }
}

/// Ends a child that leads a group and was not collected yet, and all of its group.
pub(super) fn kill_group(pid: u32) {
    signal_group(pid, libc::SIGKILL);
}

/// Asks a child that leads a group and was not collected yet, and all of its group, to end.
pub(super) fn ask_group_to_end(pid: u32) {
    signal_group(pid, libc::SIGTERM);
}

fn signal_group(pid: u32, signal: libc::c_int) {
    let Ok(group) = libc::pid_t::try_from(pid) else {
        return;
    };
    // SAFETY: a plain call.
    unsafe { libc::kill(-group, signal) };
}
