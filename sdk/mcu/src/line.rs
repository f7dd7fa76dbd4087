//! The line to the authority: messages, each behind its length in four bytes, on the board's first serial port.
//!
//! It is here so that the example has one. DDKG-1 asks nothing of a transport but to bring bytes.
#![allow(unsafe_code, reason = "registers are at fixed addresses")]

use alloc::vec;
use alloc::vec::Vec;
use core::ptr::with_exposed_provenance_mut;

/// The registers of the CMSDK UART (Arm DDI 0479, section 4.3), as words.
const DATA: usize = 0x4000_4000;
const STATE: usize = DATA + 4;
const CONTROL: usize = DATA + 8;
const DIVIDER: usize = DATA + 16;

/// The longest message that is taken.
const MAX: usize = 4 << 10;

/// The serial port.
pub struct Line(());

impl Line {
    /// Turns the port on.
    pub fn open() -> Self {
        write(DIVIDER, 16);
        write(CONTROL, 0b11);
        Self(())
    }

    /// Sends `message`, and takes the answer. An answer that is too long is none.
    pub fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        (message.len() as u32).to_be_bytes().into_iter().chain(message.iter().copied()).for_each(send);
        let length = u32::from_be_bytes([receive(), receive(), receive(), receive()]) as usize;
        let mut answer = vec![0; if length <= MAX { length } else { 0 }];
        answer.iter_mut().for_each(|byte| *byte = receive());
        answer
    }
}

fn send(byte: u8) {
    while read(STATE) & 0b01 != 0 {}
    write(DATA, byte.into());
}

fn receive() -> u8 {
    while read(STATE) & 0b10 == 0 {}
    read(DATA) as u8
}

fn read(register: usize) -> u32 {
    // SAFETY: a register of the port, which is read as a word.
    unsafe { with_exposed_provenance_mut::<u32>(register).read_volatile() }
}

fn write(register: usize, word: u32) {
    // SAFETY: a register of the port, which is written as a word.
    unsafe { with_exposed_provenance_mut::<u32>(register).write_volatile(word) }
}
