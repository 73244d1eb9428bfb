#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace text_generation {

/// All bytes of a file. Throws xgrad::Error, naming the file, if it cannot be read.
std::string read_file(const std::filesystem::path& path);

/// The characters of one file, or of several one after the other, without the byte order marks that
/// they may begin with. Throws xgrad::Error if a file cannot be read or is not UTF-8.
std::u32string read_corpus(const std::vector<std::string>& paths);

/// Every *.hpp and *.cpp below the folder, in the order of their paths.
std::vector<std::string> find_sources(const std::filesystem::path& folder);

/// How many of `characters` are for training, floor(characters * (1 - fraction)); the rest is for
/// validation. Throws xgrad::Error if either part would be empty, or validation had no character to
/// predict from another.
std::size_t training_size(std::size_t characters, double validation_fraction);

/// A number that tells texts apart (FNV-1a, 64 bits, of the code points).
std::uint64_t fingerprint(std::u32string_view text);

}  // namespace text_generation
