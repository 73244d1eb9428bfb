#include "corpus.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include <xgrad/core/error.hpp>

#include "utf8.hpp"

namespace text_generation {

namespace fs = std::filesystem;
using xgrad::Error;

std::string read_file(const fs::path& path) {
  const auto fail = [&] {
    throw Error(path.string() + ": cannot read the file: " + std::strerror(errno));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) fail();
  std::string bytes;
  char block[1 << 16];
  while (const std::size_t count = std::fread(block, 1, sizeof block, file.get())) {
    bytes.append(block, count);
  }
  if (std::ferror(file.get())) fail();
  return bytes;
}

std::u32string read_corpus(const std::vector<std::string>& paths) {
  std::u32string text;
  for (const std::string& path : paths) {
    const std::u32string part = decode_utf8(read_file(path), path);
    text.append(part, part.starts_with(U'\ufeff') ? 1 : 0);
  }
  return text;
}

std::vector<std::string> find_sources(const fs::path& folder) {
  std::vector<std::string> paths;
  const auto skip_denied = fs::directory_options::skip_permission_denied;
  auto entry = fs::recursive_directory_iterator(folder, skip_denied);
  for (; entry != fs::recursive_directory_iterator(); ++entry) {
    const fs::path name = entry->path().filename();
    // What was generated is not ours, nor are hidden folders.
    if (entry->is_directory() && (name == "build" || name.string().starts_with('.'))) {
      entry.disable_recursion_pending();
    }
    const fs::path extension = name.extension();
    if (entry->is_regular_file() && (extension == ".hpp" || extension == ".cpp")) {
      paths.push_back(entry->path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::size_t training_size(std::size_t characters, double validation_fraction) {
  if (characters == 0) throw Error("the corpus is empty");
  const auto training = static_cast<std::size_t>(
      std::floor(static_cast<double>(characters) * (1.0 - validation_fraction)));
  if (training < 2 || characters - training < 2) {
    throw Error("the corpus has " + std::to_string(characters) + " characters, " +
                std::to_string(training) + " of them for training and " +
                std::to_string(characters - training) +
                " for validation: each part needs at least 2");
  }
  return training;
}

std::uint64_t fingerprint(std::u32string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char32_t character : text) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ ((character >> shift) & 0xFF)) * 0x100000001b3;
    }
  }
  return hash;
}

}  // namespace text_generation
