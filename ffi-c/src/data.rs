//! Bytes, text, lists and structs that C gives or gets.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::numbers::*;

/// How a call ended: one of REGAUTH_OK to REGAUTH_NONE.
pub type regauth_status = i32;

/// Bytes, without a zero byte behind them. Given by C: borrowed for the call. Given to C: lent, until the next call on
/// the lender that takes it without const.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_bytes {
    /// Where they begin; may be NULL where there are none.
    pub ptr: *const c_char,
    /// How many there are.
    pub len: usize,
}

impl regauth_bytes {
    pub(crate) const NONE: Self = Self { ptr: std::ptr::null(), len: 0 };

    pub(crate) fn lend(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr().cast(), len: bytes.len() }
    }

    pub(crate) fn lend_text(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, |text| Self::lend(text.as_bytes()))
    }

    /// The bytes, where C gave them: valid as long as the call.
    pub(crate) fn read<'a>(self) -> Result<&'a [u8], regauth_status> {
        bytes(self.ptr.cast(), self.len)
    }

    pub(crate) fn read_text<'a>(self) -> Result<&'a str, regauth_status> {
        text(self.ptr, self.len)
    }
}

/// A header field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_header {
    /// Its name, in any case.
    pub name: regauth_bytes,
    /// Its value, without white space round it.
    pub value: regauth_bytes,
}

impl regauth_header {
    pub(crate) fn lend(name: &str, value: &[u8]) -> Self {
        Self { name: regauth_bytes::lend(name.as_bytes()), value: regauth_bytes::lend(value) }
    }
}

/// Where a lent list begins; NULL where it is empty.
pub(crate) fn start<T>(list: &[T]) -> *const T {
    if list.is_empty() { std::ptr::null() } else { list.as_ptr() }
}

/// Bytes of C; NULL stands for none of them, and for nothing else.
pub(crate) fn bytes<'a>(ptr: *const c_void, len: usize) -> Result<&'a [u8], regauth_status> {
    list(ptr.cast::<u8>(), len)
}

/// Text of C.
pub(crate) fn text<'a>(ptr: *const c_char, len: usize) -> Result<&'a str, regauth_status> {
    std::str::from_utf8(bytes(ptr.cast(), len)?).map_err(|_| REGAUTH_INPUT)
}

/// A list of C: of numbers, of pointers, or of structs that any bytes make.
pub(crate) fn list<'a, T: Copy>(ptr: *const T, len: usize) -> Result<&'a [T], regauth_status> {
    let size = size_of::<T>();
    match NonNull::new(ptr.cast_mut()) {
        None if len == 0 => Ok(&[]),
        None => Err(REGAUTH_NULL),
        Some(_) if len.checked_mul(size).is_none_or(|all| isize::try_from(all).is_err()) => Err(REGAUTH_INPUT),
        Some(start) if !start.as_ptr().is_aligned() => Err(REGAUTH_INPUT),
        // SAFETY: not NULL, aligned, not too large, and C says that so many lie there for the length of the call.
        Some(start) => Ok(unsafe { std::slice::from_raw_parts(start.as_ptr(), len) }),
    }
}

/// Where something goes that C gets.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// NULL is an error before any work is done.
    pub(crate) fn new(ptr: *mut T) -> Result<Self, regauth_status> {
        NonNull::new(ptr).map(Self).ok_or(REGAUTH_NULL)
    }

    pub(crate) fn put(self, value: T) {
        // SAFETY: not NULL, and C says that it may be written to.
        unsafe { self.0.as_ptr().write(value) };
    }
}

/// A buffer of C for bytes or text: `cap` bytes at `buf`, and where their number goes.
pub(crate) struct Space {
    buf: *mut c_char,
    cap: usize,
    len: Out<usize>,
}

impl Space {
    pub(crate) fn new(buf: *mut c_char, cap: usize, len: *mut usize) -> Result<Self, regauth_status> {
        let len = Out::new(len)?;
        if buf.is_null() && cap > 0 { Err(REGAUTH_NULL) } else { Ok(Self { buf, cap, len }) }
    }

    /// Copies these bytes, if there is space for all of them.
    pub(crate) fn put(self, bytes: &[u8]) -> Result<(), regauth_status> {
        self.len.put(bytes.len());
        if bytes.len() > self.cap {
            return Err(REGAUTH_SPACE);
        }
        if !bytes.is_empty() {
            // SAFETY: C says that `cap` bytes may be written there, which are as many or more, and what the library
            // holds lies elsewhere.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.buf.cast(), bytes.len()) };
        }
        Ok(())
    }
}

/// A struct that begins with its size, so that fields can be added to its end.
///
/// # Safety
/// `repr(C)`, the first field is a `usize`, and zero bytes make a value of it.
pub(crate) unsafe trait Struct: Copy {
    /// A value of zero bytes.
    fn zeroed() -> Self {
        // SAFETY: the trait says so.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// Reads a struct that C gives. What is missing at its end is zero; what this library does not know has to be.
pub(crate) fn read<T: Struct>(ptr: *const T) -> Result<T, regauth_status> {
    let given = size_of_struct(ptr)?;
    let mut value = MaybeUninit::<T>::zeroed();
    let known = given.min(size_of::<T>());
    // SAFETY: C says that `given` bytes lie at `ptr`; `known` is no more, and no more than the value has.
    unsafe { std::ptr::copy_nonoverlapping(ptr.cast::<u8>(), value.as_mut_ptr().cast(), known) };
    // SAFETY: as before, for the bytes behind those.
    let rest = unsafe { std::slice::from_raw_parts(ptr.cast::<u8>().wrapping_add(known), given - known) };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(REGAUTH_INPUT);
    }
    // SAFETY: zero bytes make a value, and so do those of C: numbers and pointers.
    Ok(unsafe { value.assume_init() })
}

/// Writes a struct that C gets, as much as C has room for. What this library does not know becomes zero.
pub(crate) fn write<T: Struct>(ptr: *mut T, value: &T) -> Result<(), regauth_status> {
    let room = size_of_struct(ptr)?;
    let first = size_of::<usize>();
    let known = room.min(size_of::<T>());
    // SAFETY: C says that `room` bytes at `ptr` may be written; `known` is no more, and no more than the value has. The
    // size itself stays as C gave it.
    unsafe {
        let from = std::ptr::from_ref(value).cast::<u8>().wrapping_add(first);
        std::ptr::copy_nonoverlapping(from, ptr.cast::<u8>().wrapping_add(first), known - first);
        std::ptr::write_bytes(ptr.cast::<u8>().wrapping_add(known), 0, room - known);
    }
    Ok(())
}

/// Whether C can be given this struct, asked before the work that cannot be undone.
pub(crate) fn size_of_struct<T: Struct>(ptr: *const T) -> Result<usize, regauth_status> {
    if ptr.is_null() {
        return Err(REGAUTH_NULL);
    }
    if !ptr.is_aligned() {
        return Err(REGAUTH_INPUT);
    }
    // SAFETY: not NULL, aligned, and C says that a struct with its size in front lies there.
    let size = unsafe { ptr.cast::<usize>().read() };
    // A size larger than a page is no struct: it was not set.
    if (size_of::<T>()..=4096).contains(&size) { Ok(size) } else { Err(REGAUTH_INPUT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct New {
        struct_size: usize,
        number: u64,
        added: u64,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Old {
        struct_size: usize,
        number: u64,
    }

    // SAFETY: three numbers, the first is the size.
    unsafe impl Struct for New {}
    // SAFETY: two numbers, the first is the size.
    unsafe impl Struct for Old {}

    #[test]
    fn a_program_with_a_newer_header_is_understood_as_far_as_it_goes() {
        let size = size_of::<New>();
        let mut new = New { struct_size: size, number: 7, added: 0 };
        let pointer: *mut Old = (&raw mut new).cast();
        assert_eq!(read(pointer).map(|old| old.number), Ok(7));
        assert_eq!(write(pointer, &Old { struct_size: 0, number: 9 }), Ok(()));
        assert_eq!((new.struct_size, new.number, new.added), (size, 9, 0));

        let mut new = New { struct_size: size, number: 7, added: 1 };
        let pointer: *mut Old = (&raw mut new).cast();
        assert_eq!(read(pointer).map(|old| old.number), Err(REGAUTH_INPUT), "it asks for what is not known here");
        assert_eq!(write(pointer, &Old { struct_size: 0, number: 9 }), Ok(()));
        assert_eq!((new.number, new.added), (9, 0));
    }

    #[test]
    fn sizes_that_cannot_be() {
        for struct_size in [0, 1, 15, 4097, usize::MAX] {
            let old = Old { struct_size, number: 1 };
            assert_eq!(read(&raw const old).map(|_| ()), Err(REGAUTH_INPUT), "{struct_size}");
        }
        assert_eq!(read(std::ptr::null::<Old>()).map(|_| ()), Err(REGAUTH_NULL));
        assert_eq!(bytes(std::ptr::null(), 1), Err(REGAUTH_NULL));
        assert_eq!(bytes(std::ptr::null(), 0), Ok(&[][..]));
        assert_eq!(bytes(c"x".as_ptr().cast(), usize::MAX), Err(REGAUTH_INPUT));
        assert_eq!(text([0xff_u8].as_ptr().cast(), 1), Err(REGAUTH_INPUT));
    }
}
