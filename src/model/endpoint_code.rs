//! The numbers with which Live Response sensors refuse, and what they mean.
//!
//! A code that is not here is shown as a number; nothing is decided by it.

/// What is known of an endpoint's code.
pub(super) struct Code {
    pub(super) number: u32,
    pub(super) symbol: &'static str,
    pub(super) meaning: &'static str,
    /// Trying again may help.
    pub(super) transient: bool,
}

const fn code(number: u32, symbol: &'static str, meaning: &'static str, transient: bool) -> Code {
    Code {
        number,
        symbol,
        meaning,
        transient,
    }
}

/// Codes of the Live Response sensors. Source: contract, section 7.6, and Windows' own error list.
const CODES: [Code; 24] = [
    code(0x8007_0002, "ERROR_FILE_NOT_FOUND", "not found", false),
    code(
        0x8007_0003,
        "ERROR_PATH_NOT_FOUND",
        "parent folder not found",
        false,
    ),
    code(0x8007_0005, "ERROR_ACCESS_DENIED", "access denied", false),
    code(0x8007_0006, "ERROR_INVALID_HANDLE", "invalid handle", false),
    code(
        0x8007_0008,
        "ERROR_NOT_ENOUGH_MEMORY",
        "not enough memory",
        false,
    ),
    code(
        0x8007_0011,
        "ERROR_NOT_SAME_DEVICE",
        "invalid destination",
        false,
    ),
    code(0x8007_0015, "ERROR_NOT_READY", "drive not ready", true),
    code(
        0x8007_0020,
        "ERROR_SHARING_VIOLATION",
        "in use by another process",
        true,
    ),
    code(
        0x8007_0021,
        "ERROR_LOCK_VIOLATION",
        "locked by another process",
        true,
    ),
    code(
        0x8007_0032,
        "ERROR_NOT_SUPPORTED",
        "not supported there",
        false,
    ),
    code(0x8007_0050, "ERROR_FILE_EXISTS", "exists already", false),
    code(
        0x8007_0057,
        "ERROR_INVALID_PARAMETER",
        "invalid parameter",
        false,
    ),
    code(
        0x8007_0070,
        "ERROR_DISK_FULL",
        "disk full on the endpoint",
        false,
    ),
    code(0x8007_007b, "ERROR_INVALID_NAME", "not a valid path", false),
    code(
        0x8007_0091,
        "ERROR_DIR_NOT_EMPTY",
        "folder not empty",
        false,
    ),
    code(0x8007_00b7, "ERROR_ALREADY_EXISTS", "exists already", false),
    code(
        0x8007_00c1,
        "ERROR_BAD_EXE_FORMAT",
        "not an executable for this system",
        false,
    ),
    code(
        0x8007_010b,
        "ERROR_DIRECTORY",
        "working directory not found",
        false,
    ),
    code(
        0x8007_02e4,
        "ERROR_ELEVATION_REQUIRED",
        "needs elevation",
        false,
    ),
    code(0x8007_0490, "ERROR_NOT_FOUND", "element not found", false),
    code(
        0x8007_04c7,
        "ERROR_CANCELLED",
        "cancelled on the endpoint",
        false,
    ),
    code(
        0x8007_05b4,
        "ERROR_TIMEOUT",
        "timed out on the endpoint",
        true,
    ),
    code(0x8007_06f7, "RPC_X_BAD_STUB_DATA", "bad data", false),
    code(0x8000_4005, "E_FAIL", "unspecified failure", false),
];

/// Not found, in the two forms that sensors use.
pub const NOT_FOUND: [u32; 2] = [0x8007_0002, NO_FOLDER];
/// Nor is the folder that it would be in.
pub const NO_FOLDER: u32 = 0x8007_0003;
/// Held open by somebody else.
pub const LOCKED: [u32; 2] = [0x8007_0020, 0x8007_0021];
/// The endpoint stopped waiting for what it had begun, which goes on.
pub const TIMED_OUT: u32 = 0x8007_05b4;
/// What sensors say of an offset behind the last byte: a bad parameter, or the end of the file.
pub const PAST_END: [u32; 2] = [0x8007_0057, 0x8007_0026];

/// A code that has a meaning here.
pub(super) fn known(code: u32) -> Option<&'static Code> {
    CODES.iter().find(|row| row.number == code)
}
