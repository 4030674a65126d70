//! Colours by name, and between screens and light.
//!
//! Invariant: inside the studio a colour is linear light (Rec. 709 primaries); sRGB exists only in
//! the tables here and in finished pictures.

use crate::vector::{V3, v3};

/// Colours that words may name, as sRGB.
#[rustfmt::skip]
pub(crate) const COLORS: &[(&str, u32)] = &[
    ("red", 0xb31b1f), ("crimson", 0xa0122c), ("scarlet", 0xc82218), ("burgundy", 0x5e1222),
    ("maroon", 0x5a141a), ("cherry", 0xa0142a), ("ruby", 0x9b113a), ("coral", 0xf07a62),
    ("salmon", 0xf09480), ("orange", 0xe8781e), ("amber", 0xd9902a), ("copper", 0xb87345),
    ("bronze", 0x946838), ("rust", 0x9e4822), ("terracotta", 0xc06a48), ("peach", 0xf4be98),
    ("apricot", 0xf2b27c), ("brown", 0x6a4228), ("dark brown", 0x40281a), ("chocolate", 0x462a1c),
    ("coffee", 0x4c3222), ("tan", 0xc6a278), ("sand", 0xdcc6a0), ("beige", 0xe0d2b8),
    ("cream", 0xf2e8d2), ("ivory", 0xf4eede), ("yellow", 0xecc22a), ("mustard", 0xc89a26),
    ("gold", 0xd8a848), ("golden", 0xd8a848), ("lemon", 0xf0d83c), ("olive", 0x747434),
    ("green", 0x2e7a40), ("lime", 0x92c02c), ("mint", 0xa8dabe), ("sage", 0x9cac88),
    ("forest green", 0x1e4a2c), ("dark green", 0x1c402a), ("emerald", 0x0e8058), ("moss", 0x5c6c32),
    ("teal", 0x167878), ("turquoise", 0x2cb4ac), ("cyan", 0x22b0c8), ("aqua", 0x5ccccc),
    ("blue", 0x2252a8), ("pale blue", 0xb4d0e4), ("light blue", 0x98c2e4), ("sky blue", 0x7cb8e8),
    ("navy", 0x16244c), ("dark blue", 0x162a5c), ("cobalt", 0x1240a4), ("royal blue", 0x2246b4),
    ("indigo", 0x34287c), ("violet", 0x6c3ca4), ("purple", 0x643088), ("lavender", 0xbcacdc),
    ("lilac", 0xc4a4d0), ("plum", 0x662a56), ("magenta", 0xb82282), ("pink", 0xeea0b4),
    ("hot pink", 0xe83c8c), ("blush", 0xecc4bc), ("rose", 0xd88088), ("white", 0xf0eeea),
    ("off-white", 0xece6da), ("grey", 0x868686), ("gray", 0x868686), ("silver", 0xc4c6ca),
    ("charcoal", 0x2e3034), ("slate", 0x505a64), ("black", 0x121214), ("graphite", 0x3a3c40),
];

/// Palettes that words may name, as sRGB.
#[rustfmt::skip]
pub(crate) const PALETTES: &[(&str, [u32; 3])] = &[
    ("pastel", [0xf2c8d0, 0xc4dcee, 0xf4ecc4]), ("earthy", [0xa47048, 0xd4bc94, 0x666a44]),
    ("earth tones", [0xa47048, 0xd4bc94, 0x666a44]), ("neutral", [0xd8d0c4, 0xb4aca0, 0xeeeae2]),
    ("monochrome", [0x909090, 0xd0d0d0, 0x303030]), ("neon colours", [0xf02c9c, 0x24d8e4, 0x7c30e8]),
    ("autumn", [0xb85820, 0xd8a030, 0x6c3020]), ("spring", [0xa8d080, 0xf4c0cc, 0xf4eca0]),
    ("summer", [0x38a8d8, 0xf4d050, 0xf07858]), ("winter", [0xc8dcec, 0x7090b0, 0xf0f4f8]),
    ("scandinavian", [0xe8e4dc, 0xc8b89c, 0x6c7c84]), ("mediterranean", [0x2868a8, 0xf0e8d8, 0xd08050]),
    ("jewel tones", [0x106058, 0x6c1840, 0x283080]), ("candy", [0xf888b4, 0x80d4e4, 0xf8e078]),
    ("vintage", [0xc49c6c, 0x7c8c78, 0xe4d4b0]), ("monochromatic", [0x909090, 0xd0d0d0, 0x303030]),
];

/// Linear light of an sRGB colour written as `0xRRGGBB`.
pub(crate) fn from_hex(hex: u32) -> V3 {
    let part = |shift: u32| decode((hex >> shift & 0xff) as f32 / 255.0);
    v3(part(16), part(8), part(0))
}

/// Linear light of one sRGB part.
pub(crate) fn decode(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// One sRGB part of linear light.
pub(crate) fn encode(value: f32) -> f32 {
    if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}

/// The colour towards grey (`by` < 1) or away from it (`by` > 1), of the same brightness.
pub(crate) fn saturate(color: V3, by: f32) -> V3 {
    V3::all(color.luminance()).mix(color, by).max(V3::ZERO)
}
