//! The HRESULTs with which a simulated endpoint refuses.

/// An HRESULT, as the sensor reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

impl Code {
    pub const FILE_NOT_FOUND: Self = Self(0x8007_0002);
    pub const PATH_NOT_FOUND: Self = Self(0x8007_0003);
    pub const ACCESS_DENIED: Self = Self(0x8007_0005);
    pub const INVALID_DESTINATION: Self = Self(0x8007_0011);
    pub const SHARING_VIOLATION: Self = Self(0x8007_0020);
    pub const NOT_SUPPORTED: Self = Self(0x8007_0032);
    pub const FILE_EXISTS: Self = Self(0x8007_0050);
    pub const INVALID_PARAMETER: Self = Self(0x8007_0057);
    pub const DISK_FULL: Self = Self(0x8007_0070);
    pub const INVALID_NAME: Self = Self(0x8007_007b);
    pub const NOT_EMPTY: Self = Self(0x8007_0091);
    pub const ALREADY_EXISTS: Self = Self(0x8007_00b7);
    pub const BAD_IMAGE: Self = Self(0x8007_00c1);
    pub const NOT_A_DIRECTORY: Self = Self(0x8007_010b);
    pub const TIMEOUT: Self = Self(0x8007_05b4);
}
