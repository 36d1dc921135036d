//! The Unicode classes that BERT's tokeniser asks for, as sorted ranges of the basic plane.
//!
//! Not a general property table: only what `wordpiece` needs and the standard library lacks.
//! Unicode 14; later additions count as ordinary letters.

use unicode_normalization::char::is_combining_mark;

/// Returns whether a character disappears: controls, formats, private use, the replacement mark.
pub(super) fn is_dropped(c: char) -> bool {
    let kept = matches!(c, '\t' | '\n' | '\r');
    !kept && (c.is_control() || c == char::REPLACEMENT_CHARACTER || within(c, FORMAT))
}

/// Returns whether a character of a decomposed text is an accent: a mark that takes no space.
pub(super) fn is_accent(c: char) -> bool {
    is_combining_mark(c) && !within(c, SPACING_MARK)
}

/// Returns whether a character is a word by itself; ASCII symbols such as `$` count too.
pub(super) fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || within(c, PUNCTUATION)
}

/// Returns whether a character is a Chinese one, which BERT sets apart as a word.
pub(super) fn is_chinese(c: char) -> bool {
    within(c, CHINESE)
}

fn within(c: char, ranges: &[(char, char)]) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < c);
    ranges.get(at).is_some_and(|(first, _)| *first <= c)
}

const CHINESE: &[(char, char)] = &[
    ('\u{3400}', '\u{4DBF}'),
    ('\u{4E00}', '\u{9FFF}'),
    ('\u{F900}', '\u{FAFF}'),
    ('\u{20000}', '\u{2A6DF}'),
    ('\u{2A700}', '\u{2B73F}'),
    ('\u{2B740}', '\u{2B81F}'),
    ('\u{2B920}', '\u{2CEAF}'),
    ('\u{2F800}', '\u{2FA1F}'),
];

/// General category Cf, and the private use area.
#[rustfmt::skip] // one range a line would be four times as long
const FORMAT: &[(char, char)] = &[
    ('\u{AD}', '\u{AD}'), ('\u{600}', '\u{605}'), ('\u{61C}', '\u{61C}'), ('\u{6DD}', '\u{6DD}'),
    ('\u{70F}', '\u{70F}'), ('\u{890}', '\u{891}'), ('\u{8E2}', '\u{8E2}'),
    ('\u{180E}', '\u{180E}'), ('\u{200B}', '\u{200F}'), ('\u{202A}', '\u{202E}'),
    ('\u{2060}', '\u{2064}'), ('\u{2066}', '\u{206F}'), ('\u{E000}', '\u{F8FF}'), ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFF9}', '\u{FFFB}'), ('\u{110BD}', '\u{110BD}'), ('\u{110CD}', '\u{110CD}'),
    ('\u{13430}', '\u{13438}'), ('\u{1BCA0}', '\u{1BCA3}'), ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0001}', '\u{E0001}'), ('\u{E0020}', '\u{E007F}'),
];

/// General categories Mc and Me.
#[rustfmt::skip] // as above
const SPACING_MARK: &[(char, char)] = &[
    ('\u{488}', '\u{489}'), ('\u{903}', '\u{903}'), ('\u{93B}', '\u{93B}'), ('\u{93E}', '\u{940}'),
    ('\u{949}', '\u{94C}'), ('\u{94E}', '\u{94F}'), ('\u{982}', '\u{983}'), ('\u{9BE}', '\u{9C0}'),
    ('\u{9C7}', '\u{9C8}'), ('\u{9CB}', '\u{9CC}'), ('\u{9D7}', '\u{9D7}'), ('\u{A03}', '\u{A03}'),
    ('\u{A3E}', '\u{A40}'), ('\u{A83}', '\u{A83}'), ('\u{ABE}', '\u{AC0}'), ('\u{AC9}', '\u{AC9}'),
    ('\u{ACB}', '\u{ACC}'), ('\u{B02}', '\u{B03}'), ('\u{B3E}', '\u{B3E}'), ('\u{B40}', '\u{B40}'),
    ('\u{B47}', '\u{B48}'), ('\u{B4B}', '\u{B4C}'), ('\u{B57}', '\u{B57}'), ('\u{BBE}', '\u{BBF}'),
    ('\u{BC1}', '\u{BC2}'), ('\u{BC6}', '\u{BC8}'), ('\u{BCA}', '\u{BCC}'), ('\u{BD7}', '\u{BD7}'),
    ('\u{C01}', '\u{C03}'), ('\u{C41}', '\u{C44}'), ('\u{C82}', '\u{C83}'), ('\u{CBE}', '\u{CBE}'),
    ('\u{CC0}', '\u{CC4}'), ('\u{CC7}', '\u{CC8}'), ('\u{CCA}', '\u{CCB}'), ('\u{CD5}', '\u{CD6}'),
    ('\u{D02}', '\u{D03}'), ('\u{D3E}', '\u{D40}'), ('\u{D46}', '\u{D48}'), ('\u{D4A}', '\u{D4C}'),
    ('\u{D57}', '\u{D57}'), ('\u{D82}', '\u{D83}'), ('\u{DCF}', '\u{DD1}'), ('\u{DD8}', '\u{DDF}'),
    ('\u{DF2}', '\u{DF3}'), ('\u{F3E}', '\u{F3F}'), ('\u{F7F}', '\u{F7F}'),
    ('\u{102B}', '\u{102C}'), ('\u{1031}', '\u{1031}'), ('\u{1038}', '\u{1038}'),
    ('\u{103B}', '\u{103C}'), ('\u{1056}', '\u{1057}'), ('\u{1062}', '\u{1064}'),
    ('\u{1067}', '\u{106D}'), ('\u{1083}', '\u{1084}'), ('\u{1087}', '\u{108C}'),
    ('\u{108F}', '\u{108F}'), ('\u{109A}', '\u{109C}'), ('\u{1715}', '\u{1715}'),
    ('\u{1734}', '\u{1734}'), ('\u{17B6}', '\u{17B6}'), ('\u{17BE}', '\u{17C5}'),
    ('\u{17C7}', '\u{17C8}'), ('\u{1923}', '\u{1926}'), ('\u{1929}', '\u{192B}'),
    ('\u{1930}', '\u{1931}'), ('\u{1933}', '\u{1938}'), ('\u{1A19}', '\u{1A1A}'),
    ('\u{1A55}', '\u{1A55}'), ('\u{1A57}', '\u{1A57}'), ('\u{1A61}', '\u{1A61}'),
    ('\u{1A63}', '\u{1A64}'), ('\u{1A6D}', '\u{1A72}'), ('\u{1ABE}', '\u{1ABE}'),
    ('\u{1B04}', '\u{1B04}'), ('\u{1B35}', '\u{1B35}'), ('\u{1B3B}', '\u{1B3B}'),
    ('\u{1B3D}', '\u{1B41}'), ('\u{1B43}', '\u{1B44}'), ('\u{1B82}', '\u{1B82}'),
    ('\u{1BA1}', '\u{1BA1}'), ('\u{1BA6}', '\u{1BA7}'), ('\u{1BAA}', '\u{1BAA}'),
    ('\u{1BE7}', '\u{1BE7}'), ('\u{1BEA}', '\u{1BEC}'), ('\u{1BEE}', '\u{1BEE}'),
    ('\u{1BF2}', '\u{1BF3}'), ('\u{1C24}', '\u{1C2B}'), ('\u{1C34}', '\u{1C35}'),
    ('\u{1CE1}', '\u{1CE1}'), ('\u{1CF7}', '\u{1CF7}'), ('\u{20DD}', '\u{20E0}'),
    ('\u{20E2}', '\u{20E4}'), ('\u{302E}', '\u{302F}'), ('\u{A670}', '\u{A672}'),
    ('\u{A823}', '\u{A824}'), ('\u{A827}', '\u{A827}'), ('\u{A880}', '\u{A881}'),
    ('\u{A8B4}', '\u{A8C3}'), ('\u{A952}', '\u{A953}'), ('\u{A983}', '\u{A983}'),
    ('\u{A9B4}', '\u{A9B5}'), ('\u{A9BA}', '\u{A9BB}'), ('\u{A9BE}', '\u{A9C0}'),
    ('\u{AA2F}', '\u{AA30}'), ('\u{AA33}', '\u{AA34}'), ('\u{AA4D}', '\u{AA4D}'),
    ('\u{AA7B}', '\u{AA7B}'), ('\u{AA7D}', '\u{AA7D}'), ('\u{AAEB}', '\u{AAEB}'),
    ('\u{AAEE}', '\u{AAEF}'), ('\u{AAF5}', '\u{AAF5}'), ('\u{ABE3}', '\u{ABE4}'),
    ('\u{ABE6}', '\u{ABE7}'), ('\u{ABE9}', '\u{ABEA}'), ('\u{ABEC}', '\u{ABEC}'),
];

/// General category P.
#[rustfmt::skip] // as above
const PUNCTUATION: &[(char, char)] = &[
    ('\u{A1}', '\u{A1}'), ('\u{A7}', '\u{A7}'), ('\u{AB}', '\u{AB}'), ('\u{B6}', '\u{B7}'),
    ('\u{BB}', '\u{BB}'), ('\u{BF}', '\u{BF}'), ('\u{37E}', '\u{37E}'), ('\u{387}', '\u{387}'),
    ('\u{55A}', '\u{55F}'), ('\u{589}', '\u{58A}'), ('\u{5BE}', '\u{5BE}'), ('\u{5C0}', '\u{5C0}'),
    ('\u{5C3}', '\u{5C3}'), ('\u{5C6}', '\u{5C6}'), ('\u{5F3}', '\u{5F4}'), ('\u{609}', '\u{60A}'),
    ('\u{60C}', '\u{60D}'), ('\u{61B}', '\u{61B}'), ('\u{61D}', '\u{61F}'), ('\u{66A}', '\u{66D}'),
    ('\u{6D4}', '\u{6D4}'), ('\u{700}', '\u{70D}'), ('\u{7F7}', '\u{7F9}'), ('\u{830}', '\u{83E}'),
    ('\u{85E}', '\u{85E}'), ('\u{964}', '\u{965}'), ('\u{970}', '\u{970}'), ('\u{9FD}', '\u{9FD}'),
    ('\u{A76}', '\u{A76}'), ('\u{AF0}', '\u{AF0}'), ('\u{C77}', '\u{C77}'), ('\u{C84}', '\u{C84}'),
    ('\u{DF4}', '\u{DF4}'), ('\u{E4F}', '\u{E4F}'), ('\u{E5A}', '\u{E5B}'), ('\u{F04}', '\u{F12}'),
    ('\u{F14}', '\u{F14}'), ('\u{F3A}', '\u{F3D}'), ('\u{F85}', '\u{F85}'), ('\u{FD0}', '\u{FD4}'),
    ('\u{FD9}', '\u{FDA}'), ('\u{104A}', '\u{104F}'), ('\u{10FB}', '\u{10FB}'),
    ('\u{1360}', '\u{1368}'), ('\u{1400}', '\u{1400}'), ('\u{166E}', '\u{166E}'),
    ('\u{169B}', '\u{169C}'), ('\u{16EB}', '\u{16ED}'), ('\u{1735}', '\u{1736}'),
    ('\u{17D4}', '\u{17D6}'), ('\u{17D8}', '\u{17DA}'), ('\u{1800}', '\u{180A}'),
    ('\u{1944}', '\u{1945}'), ('\u{1A1E}', '\u{1A1F}'), ('\u{1AA0}', '\u{1AA6}'),
    ('\u{1AA8}', '\u{1AAD}'), ('\u{1B5A}', '\u{1B60}'), ('\u{1B7D}', '\u{1B7E}'),
    ('\u{1BFC}', '\u{1BFF}'), ('\u{1C3B}', '\u{1C3F}'), ('\u{1C7E}', '\u{1C7F}'),
    ('\u{1CC0}', '\u{1CC7}'), ('\u{1CD3}', '\u{1CD3}'), ('\u{2010}', '\u{2027}'),
    ('\u{2030}', '\u{2043}'), ('\u{2045}', '\u{2051}'), ('\u{2053}', '\u{205E}'),
    ('\u{207D}', '\u{207E}'), ('\u{208D}', '\u{208E}'), ('\u{2308}', '\u{230B}'),
    ('\u{2329}', '\u{232A}'), ('\u{2768}', '\u{2775}'), ('\u{27C5}', '\u{27C6}'),
    ('\u{27E6}', '\u{27EF}'), ('\u{2983}', '\u{2998}'), ('\u{29D8}', '\u{29DB}'),
    ('\u{29FC}', '\u{29FD}'), ('\u{2CF9}', '\u{2CFC}'), ('\u{2CFE}', '\u{2CFF}'),
    ('\u{2D70}', '\u{2D70}'), ('\u{2E00}', '\u{2E2E}'), ('\u{2E30}', '\u{2E4F}'),
    ('\u{2E52}', '\u{2E5D}'), ('\u{3001}', '\u{3003}'), ('\u{3008}', '\u{3011}'),
    ('\u{3014}', '\u{301F}'), ('\u{3030}', '\u{3030}'), ('\u{303D}', '\u{303D}'),
    ('\u{30A0}', '\u{30A0}'), ('\u{30FB}', '\u{30FB}'), ('\u{A4FE}', '\u{A4FF}'),
    ('\u{A60D}', '\u{A60F}'), ('\u{A673}', '\u{A673}'), ('\u{A67E}', '\u{A67E}'),
    ('\u{A6F2}', '\u{A6F7}'), ('\u{A874}', '\u{A877}'), ('\u{A8CE}', '\u{A8CF}'),
    ('\u{A8F8}', '\u{A8FA}'), ('\u{A8FC}', '\u{A8FC}'), ('\u{A92E}', '\u{A92F}'),
    ('\u{A95F}', '\u{A95F}'), ('\u{A9C1}', '\u{A9CD}'), ('\u{A9DE}', '\u{A9DF}'),
    ('\u{AA5C}', '\u{AA5F}'), ('\u{AADE}', '\u{AADF}'), ('\u{AAF0}', '\u{AAF1}'),
    ('\u{ABEB}', '\u{ABEB}'), ('\u{FD3E}', '\u{FD3F}'), ('\u{FE10}', '\u{FE19}'),
    ('\u{FE30}', '\u{FE52}'), ('\u{FE54}', '\u{FE61}'), ('\u{FE63}', '\u{FE63}'),
    ('\u{FE68}', '\u{FE68}'), ('\u{FE6A}', '\u{FE6B}'), ('\u{FF01}', '\u{FF03}'),
    ('\u{FF05}', '\u{FF0A}'), ('\u{FF0C}', '\u{FF0F}'), ('\u{FF1A}', '\u{FF1B}'),
    ('\u{FF1F}', '\u{FF20}'), ('\u{FF3B}', '\u{FF3D}'), ('\u{FF3F}', '\u{FF3F}'),
    ('\u{FF5B}', '\u{FF5B}'), ('\u{FF5D}', '\u{FF5D}'), ('\u{FF5F}', '\u{FF65}'),
];
