//! The sandbox of a pod: holds the pod's namespaces, reaps what is left to it, and ends on SIGTERM. Nothing else.
//! Without a standard library, so that it is about a kilobyte: there is one for each pod.
#![no_std]
#![no_main]

use core::arch::asm;

/// Numbers of system calls and the way to make one, by architecture.
#[cfg(target_arch = "x86_64")]
mod system {
    pub const EXIT_GROUP: usize = 231;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const WAIT4: usize = 61;

    core::arch::global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call sandbox", "ud2");

    /// # Safety
    /// The arguments must be what the call expects.
    #[inline(always)]
    pub unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
        let result: isize;
        unsafe {
            super::asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
                in("r10") d, out("rcx") _, out("r11") _, options(nostack));
        }
        result
    }
}

#[cfg(target_arch = "aarch64")]
mod system {
    pub const EXIT_GROUP: usize = 94;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const WAIT4: usize = 260;

    core::arch::global_asm!(".globl _start", "_start:", "mov x29, #0", "bl sandbox", "brk #1");

    /// # Safety
    /// The arguments must be what the call expects.
    #[inline(always)]
    pub unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
        let result: isize;
        unsafe {
            super::asm!("svc #0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d,
                options(nostack));
        }
        result
    }
}

const SIGINT: isize = 2;
const SIGTERM: isize = 15;
const SIGCHLD: isize = 17;
/// wait4's WNOHANG.
const WITHOUT_WAITING: usize = 1;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(101)
}

fn exit(code: usize) -> ! {
    loop {
        // SAFETY: takes one number and does not return.
        unsafe { system::call(system::EXIT_GROUP, code, 0, 0, 0) };
    }
}

/// Blocks the signals and waits for them one by one: no handler, so nothing to return from.
#[unsafe(no_mangle)]
extern "C" fn sandbox() -> ! {
    let mask: u64 = (1 << (SIGTERM - 1)) | (1 << (SIGINT - 1)) | (1 << (SIGCHLD - 1));
    let mask = core::ptr::from_ref(&mask) as usize;
    // SAFETY: the mask lives as long as the loop, which is for ever; 8 is its size.
    unsafe {
        system::call(system::RT_SIGPROCMASK, 0, mask, 0, 8);
        loop {
            let signal = system::call(system::RT_SIGTIMEDWAIT, mask, 0, 0, 8);
            if signal == SIGTERM || signal == SIGINT {
                exit(0);
            }
            while system::call(system::WAIT4, usize::MAX, 0, WITHOUT_WAITING, 0) > 0 {}
        }
    }
}
