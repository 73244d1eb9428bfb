#pragma once

#include <string>
#include <string_view>

namespace text_generation {

/// The code points of UTF-8 text. Throws xgrad::Error, naming `source` and the byte offset, where
/// the bytes are not valid UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above
/// U+10FFFF).
std::u32string decode_utf8(std::string_view bytes, const std::string& source);

std::string encode_utf8(char32_t character);
std::string encode_utf8(std::u32string_view text);

/// For messages: `'a' (U+0061)`, only the number where the character cannot be shown.
std::string describe(char32_t character);

}  // namespace text_generation
