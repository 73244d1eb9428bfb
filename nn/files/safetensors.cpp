#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xgrad/nn/files/quoted.hpp>
#include <xgrad/nn/files/safetensors.hpp>

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace xgrad::nn {

namespace {

// No value of this type may hold an array or an object: to destroy one needs memory, and without it
// the process ends. To copy one needs a stack as deep as it is nested.
using Json = nlohmann::json;
using Path = std::filesystem::path;
using detail::in_quotes;

constexpr const char* metadata_key = "__metadata__";
constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t max_header = 100'000'000;  // as in the reference implementation

[[noreturn]] void fail(const char* op, const Path& path, const std::string& what) {
  throw Error(std::string(op) + ": " + detail::shown(path.native()) + ": " + what);
}

[[noreturn]] void fail_errno(const char* op, const Path& path, const char* action) {
  const int error = errno;
  fail(op, path, std::string(action) + ": " + std::strerror(error));
}

/// Throws for what the system would take for another path.
Path checked_path(const char* op, const std::string& name) {
  if (name.find('\0') != std::string::npos) fail(op, name, "a path cannot hold a NUL");
  return name;
}

/// An open file, closed at the end of the scope.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void reset(int fd) {
    if (valid()) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

int open_retrying(const char* path, int flags, mode_t mode = 0) {
  int fd;
  do {
    fd = ::open(path, flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// ---------------------------------------------------------------- writing

constexpr const char* write_op = "write_safetensors";

/// Where the new files of a target begin their names; behind it, the process and a number.
std::string temporary_prefix(const Path& target) { return target.filename().string() + ".tmp-"; }

Path folder_of(const Path& target) {
  return target.has_parent_path() ? target.parent_path() : Path(".");
}

/// True if the rest of a name is "process-number".
bool is_process_and_number(std::string_view text) {
  const auto is_number = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const auto dash = text.find('-');
  return dash != std::string_view::npos && is_number(text.substr(0, dash)) &&
         is_number(text.substr(dash + 1));
}

/// Removes new files of the target that nobody writes any more, since their process was killed: a
/// living one holds a lock. What cannot be removed stays.
void remove_leftovers(const Path& target) {
  const std::string prefix = temporary_prefix(target);
  const Path folder = folder_of(target);
  // Not std::filesystem, whose iterator ends the process where there is no memory.
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(prefix) || !is_process_and_number(name.substr(prefix.size()))) continue;
    const Path path = folder / name;
    const Descriptor fd(open_retrying(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
    struct stat status;
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
  }
}

/// A new file beside `target`, which it replaces on commit; removed if that does not happen.
class TemporaryFile {
 public:
  explicit TemporaryFile(const Path& target) : target_(target) {
    struct stat old;
    const bool replaces = ::stat(target.c_str(), &old) == 0;
    if (replaces && !S_ISREG(old.st_mode)) fail(write_op, target_, "not a file");
    if (replaces && ::access(target.c_str(), W_OK) != 0)
      fail_errno(write_op, target_, "cannot write");
    remove_leftovers(target);
    while (!create()) {
    }
    // A replaced file keeps its access rights; where the system refuses that, they are the usual.
    if (replaces) (void)!::fchmod(fd_.get(), old.st_mode & 07777);
  }
  ~TemporaryFile() {
    if (!committed_ && fd_.valid()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_errno(write_op, target_, "cannot write");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  void commit() {
    if (::fsync(fd_.get()) != 0) fail_errno(write_op, target_, "cannot sync");
    if (::rename(path_.c_str(), target_.c_str()) != 0) {
      fail_errno(write_op, target_, "cannot rename the new file");
    }
    committed_ = true;
    sync_folder();
  }

 private:
  /// False if the name is taken: a process of the same number may have left files behind.
  bool create() {
    static std::atomic<unsigned> count{0};
    path_ = folder_of(target_) / (temporary_prefix(target_) + std::to_string(::getpid()) + "-" +
                                  std::to_string(count++));
    fd_.reset(open_retrying(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666));
    if (!fd_.valid()) {
      if (errno == EEXIST) return false;
      fail_errno(write_op, target_, "cannot create a file in this folder");
    }
    // Where the system has no locks, nobody takes it for a leftover either.
    while (::flock(fd_.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    struct stat status;  // somebody may have done so before it was locked
    return ::fstat(fd_.get(), &status) != 0 || status.st_nlink > 0;
  }

  /// Makes the rename itself durable. Some file systems cannot sync a folder; then there is nothing
  /// more to be done.
  void sync_folder() const {
    const Descriptor fd(open_retrying(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY));
    if (!fd.valid()) return;
    if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS) {
      fail_errno(write_op, target_, "cannot sync the folder");
    }
  }

  Path target_;
  Path path_;
  Descriptor fd_;
  bool committed_ = false;
};

const char* format_dtype(const Path& path, const std::string& name, DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "F32";
    case DType::float64:
      return "F64";
    case DType::complex128:
      break;
  }
  fail(write_op, path,
       "tensor " + in_quotes(name) + " is " + xgrad::name(dtype) + ": must be float32 or float64");
}

using NamedTensor = std::pair<const std::string, Tensor>;

/// In the order of their data: float64 first, so that every tensor is aligned, then by name.
std::vector<const NamedTensor*> data_order(const SafetensorsFile& file) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& entry : file.tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return item_size(a->second.dtype()) > item_size(b->second.dtype());
  });
  return order;
}

/// "text", with the escapes of JSON.
std::string json_string(const Path& path, const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    fail(write_op, path, "names and metadata must be valid UTF-8");
  }
}

/// {"__metadata__":{...},"name":{...},...}
std::string make_header(const Path& path, const SafetensorsFile& file,
                        const std::vector<const NamedTensor*>& order) {
  std::string text = "{";
  const auto begin_member = [&](const std::string& name) {
    if (text.back() != '{') text += ',';
    text.append(json_string(path, name)).append(":");
  };
  if (!file.metadata.empty()) {
    begin_member(metadata_key);
    text += '{';
    for (const auto& [key, value] : file.metadata) {
      begin_member(key);
      text += json_string(path, value);
    }
    text += '}';
  }
  std::uint64_t offset = 0;
  for (const NamedTensor* entry : order) {
    const auto& [name, tensor] = *entry;
    if (name == metadata_key) fail(write_op, path, "a tensor cannot be named '" + name + "'");
    const char* dtype = format_dtype(path, name, tensor.dtype());
    const std::uint64_t end =
        offset + static_cast<std::uint64_t>(tensor.size()) * item_size(tensor.dtype());
    begin_member(name);
    text.append(R"({"dtype":")").append(dtype).append(R"(","shape":[)");
    for (std::size_t axis = 0; axis < tensor.dim(); ++axis) {
      text.append(axis > 0 ? "," : "").append(std::to_string(tensor.shape()[axis]));
    }
    text.append(R"(],"data_offsets":[)").append(std::to_string(offset));
    text.append(",").append(std::to_string(end)).append("]}");
    offset = end;
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

// ---------------------------------------------------------------- reading

constexpr const char* read_op = "read_safetensors";

/// A list of numbers in the header: the first of them, and how many there are.
struct Numbers {
  std::vector<std::uint64_t> first;
  std::uint64_t count = 0;

  void add(std::uint64_t number) {
    if (count++ < Shape::max_axes) first.push_back(number);
  }
};

/// One tensor of the header, its numbers checked against each other and the file.
struct Entry {
  std::string name;
  std::string dtype;
  Numbers shape;
  std::uint64_t begin = 0, end = 0;  // from the start of the data
};

/// Reads exactly bytes.size() bytes.
void read_at(const Path& path, int fd, std::uint64_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_errno(read_op, path, "cannot read");
    if (count == 0) fail(read_op, path, "the file was cut short while it was read");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

[[noreturn]] void fail_damaged(const Path& path, const std::string& what) {
  fail(read_op, path, "not a safetensors file, or damaged: " + what);
}

/// Takes the header as the parser comes along, without a tree of values: what is nested in a place
/// where nothing is expected costs neither memory nor stack. Of the whole grammar
///
///     {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24], ...}, ...,
///      "__metadata__": {"key": "text", ...}}
///
/// the outer object is level 1, a description level 2, a list of numbers level 3. Members of a
/// description that the format does not know are skipped.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(const Path& path, std::uint64_t data_size) : path_(path), data_size_(data_size) {}

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }

  bool number_unsigned(number_unsigned_t number) override {
    if (level_ != 3) return other();
    (key_ == "shape" ? entry_.shape : offsets_).add(number);
    return true;
  }

  bool string(string_t& text) override {
    if (level_ == 2 && in_metadata_) {
      metadata.emplace(key_, std::move(text));
    } else if (level_ == 2 && key_ == "dtype") {
      entry_.dtype = std::move(text);
    } else {
      return other();
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (skipped_ > 0 || level_ > 1) return skip();
    if (++level_ == 2) {
      in_metadata_ = name_ == metadata_key;
      entry_ = Entry{.name = name_, .dtype = {}, .shape = {}};
      offsets_ = {};
      keys_.clear();
    }
    return true;
  }

  bool end_object() override {
    if (skipped_ > 0) return leave();
    if (level_-- == 2 && !in_metadata_) finish_entry();
    return true;
  }

  bool start_array(std::size_t) override {
    const bool is_list =
        level_ == 2 && !in_metadata_ && (key_ == "shape" || key_ == "data_offsets");
    if (skipped_ > 0 || !is_list) return skip();
    ++level_;
    return true;
  }

  bool end_array() override {
    if (skipped_ > 0) return leave();
    --level_;
    return true;
  }

  bool key(string_t& text) override {
    if (skipped_ > 0) return true;
    std::set<std::string>& known = level_ == 1 ? names_ : keys_;
    if (!known.insert(text).second) {
      fail(read_op, path_, "the name " + in_quotes(text) + " appears twice");
    }
    (level_ == 1 ? name_ : key_) = std::move(text);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    return false;
  }

 private:
  /// A value that is none of the above.
  bool other() {
    if (skipped_ == 0) refuse();
    return true;
  }

  /// Throws unless the value that begins here, and is not what the format says, does not matter.
  void refuse() const {
    if (level_ == 1 && name_ == metadata_key) {
      fail(read_op, path_, "the metadata is not a JSON object");
    }
    if (level_ == 1) fail(read_op, path_, "tensor " + in_quotes(name_) + " has no description");
    if (in_metadata_) fail(read_op, path_, "the metadata " + in_quotes(key_) + " is not text");
    if (key_ == "dtype" || key_ == "shape" || key_ == "data_offsets") lacks(key_);
  }

  /// The same for an array or an object, up to its end.
  bool skip() {
    if (skipped_ == 0) refuse();
    ++skipped_;
    return true;
  }
  bool leave() {
    --skipped_;
    return true;
  }

  [[noreturn]] void lacks(const std::string& member) const {
    fail(read_op, path_,
         "tensor " + in_quotes(name_) + " has no " + member +
             (member == "data_offsets" ? " [begin, end]" : ""));
  }

  void finish_entry() {
    for (const char* member : {"dtype", "shape", "data_offsets"}) {
      if (!keys_.contains(member)) lacks(member);
    }
    if (offsets_.count != 2) lacks("data_offsets");
    entry_.begin = offsets_.first[0];
    entry_.end = offsets_.first[1];
    if (entry_.begin > entry_.end || entry_.end > data_size_) {
      fail(read_op, path_,
           "damaged: tensor " + in_quotes(name_) + " lies at bytes " +
               std::to_string(entry_.begin) + " to " + std::to_string(entry_.end) + " of " +
               std::to_string(data_size_));
    }
    entries.push_back(std::move(entry_));
  }

  const Path& path_;
  std::uint64_t data_size_;
  int level_ = 0;              ///< of the innermost object or list that is not skipped
  std::uint64_t skipped_ = 0;  ///< arrays and objects that are being skipped, one in the other
  bool in_metadata_ = false;   ///< at level 2
  std::string name_, key_;     ///< the last key at level 1, at level 2
  std::set<std::string> names_, keys_;
  Entry entry_;
  Numbers offsets_;
};

/// Reads the header, which is stricter than the parser: that skips a byte order mark, and takes a
/// NUL for the end.
void parse_header(const Path& path, const std::string& text, HeaderReader& reader) {
  if (!text.starts_with('{')) fail_damaged(path, "the header is not a JSON object");
  const bool is_json = text.find('\0') == std::string::npos && Json::sax_parse(text, &reader);
  if (!is_json) fail_damaged(path, "the header is not valid JSON");
}

/// Bytes of one element in the file, 0 for a dtype that is not known.
std::uint64_t format_item_size(const std::string& dtype) {
  if (dtype == "F64") return 8;
  if (dtype == "F32") return 4;
  if (dtype == "F16" || dtype == "BF16") return 2;
  return 0;
}

/// The data of all tensors must follow each other without gap or overlap, to the end of the file.
void check_layout(const Path& path, std::vector<Entry>& entries, std::uint64_t data_size) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end) {
      fail(read_op, path,
           "damaged: tensor " + in_quotes(entry.name) + " begins at byte " +
               std::to_string(entry.begin) + ", the one before it ends at " + std::to_string(end));
    }
    end = entry.end;
  }
  if (end != data_size) {
    fail(read_op, path,
         "damaged: the tensors end at byte " + std::to_string(end) + ", the data at " +
             std::to_string(data_size));
  }
}

/// The shape, after a check that it fits the bytes.
Shape checked_shape(const Path& path, const Entry& entry) {
  const std::string tensor = "tensor " + in_quotes(entry.name);
  if (entry.shape.count > Shape::max_axes) {
    fail(read_op, path,
         tensor + " has " + std::to_string(entry.shape.count) + " axes: at most " +
             std::to_string(Shape::max_axes) + " are supported");
  }
  const std::vector<std::uint64_t>& extents = entry.shape.first;
  const std::uint64_t item = format_item_size(entry.dtype);
  constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
  std::uint64_t count = 1;
  bool fits = true;
  // An extent of 0 may stand beside extents whose product alone would overflow.
  const bool empty = std::find(extents.begin(), extents.end(), 0U) != extents.end();
  for (const std::uint64_t extent : extents) {
    fits = fits && extent <= limit && (empty || count <= limit / extent);
    count = empty ? 0 : count * extent;
  }
  if (!fits || count > limit / item || count * item != entry.end - entry.begin) {
    fail(read_op, path,
         "damaged: " + tensor + " has " + std::to_string(entry.end - entry.begin) +
             " bytes, which is not what its shape and dtype " + entry.dtype + " need");
  }
  const Shape shape(extents.begin(), extents.end());
  if (too_large(shape, sizeof(double))) {
    fail(read_op, path, tensor + " is " + to_string(shape) + ": larger than any memory");
  }
  return shape;
}

float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float from_float16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0) {  // zero and denormals: fraction * 2^-24 is exact
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  const std::uint32_t widened = exponent == 31 ? 255U : exponent + 112U;
  return std::bit_cast<float>(sign | (widened << 23) | (fraction << 13));
}

Tensor read_tensor(const Path& path, int fd, std::uint64_t data_start, const Entry& entry) {
  if (format_item_size(entry.dtype) == 0) {
    fail(read_op, path,
         "tensor " + in_quotes(entry.name) + " has dtype " + in_quotes(entry.dtype) +
             ": must be F32, F64, F16 or BF16");
  }
  const Shape shape = checked_shape(path, entry);
  const std::uint64_t offset = data_start + entry.begin;
  const std::size_t size = static_cast<std::size_t>(entry.end - entry.begin);
  const Tensor tensor =
      Tensor::uninitialized(shape, entry.dtype == "F64" ? DType::float64 : DType::float32);
  if (entry.dtype == "F32" || entry.dtype == "F64") {
    read_at(path, fd, offset, {tensor.bytes(), size});
    return tensor;
  }
  std::vector<std::uint16_t> halves(size / 2);
  read_at(path, fd, offset, std::as_writable_bytes(std::span(halves)));
  std::transform(halves.begin(), halves.end(), tensor.mutable_data<float>(),
                 entry.dtype == "F16" ? from_float16 : from_bfloat16);
  return tensor;
}

/// Where a chain of symbolic links ends, whether or not anything is there yet: that file is
/// replaced, not the link.
Path followed(const Path& path) {
  constexpr int most_links = 40;
  Path target = path;
  std::error_code error;
  for (int i = 0; std::filesystem::is_symlink(target, error); ++i) {
    if (i == most_links) fail(write_op, path, "cannot follow the link: it leads to itself");
    target = target.parent_path() / std::filesystem::read_symlink(target, error);
    if (error) fail(write_op, path, "cannot follow the link: " + error.message());
  }
  return target;
}

}  // namespace

void write_safetensors(const std::string& path_name, const SafetensorsFile& file) {
  const Path path = checked_path(write_op, path_name);
  const std::vector<const NamedTensor*> order = data_order(file);
  const std::string header = make_header(path, file, order);
  const std::uint64_t length = header.size();
  TemporaryFile out(followed(path));
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(std::as_bytes(std::span(header)));
  for (const NamedTensor* entry : order) {
    const Tensor tensor = xgrad::detail::contiguous(entry->second);
    const std::size_t items = static_cast<std::size_t>(tensor.size());
    out.write({tensor.bytes(), items * item_size(tensor.dtype())});
  }
  out.commit();
}

SafetensorsFile read_safetensors(const std::string& path_name, std::string_view prefix) {
  const Path path = checked_path(read_op, path_name);
  // O_NONBLOCK: to open a pipe must not wait for its writer.
  const Descriptor fd(open_retrying(path.c_str(), O_RDONLY | O_NONBLOCK));
  if (!fd.valid()) fail_errno(read_op, path, "cannot open");
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) fail_errno(read_op, path, "cannot read");
  if (!S_ISREG(status.st_mode)) fail(read_op, path, "not a file");
  const auto file_size = static_cast<std::uint64_t>(status.st_size);

  std::uint64_t header_size = 0;
  if (file_size < length_bytes) {
    fail(read_op, path, "not a safetensors file: it has " + std::to_string(file_size) + " bytes");
  }
  read_at(path, fd.get(), 0, std::as_writable_bytes(std::span(&header_size, 1)));
  if (header_size > max_header || header_size > file_size - length_bytes) {
    fail(read_op, path,
         "not a safetensors file, or cut short: a header of " + std::to_string(header_size) +
             " bytes in a file of " + std::to_string(file_size));
  }
  std::string text(static_cast<std::size_t>(header_size), '\0');
  read_at(path, fd.get(), length_bytes, std::as_writable_bytes(std::span(text)));
  const std::uint64_t data_start = length_bytes + header_size;
  const std::uint64_t data_size = file_size - data_start;
  HeaderReader header(path, data_size);
  parse_header(path, text, header);
  check_layout(path, header.entries, data_size);

  SafetensorsFile file;
  file.metadata = std::move(header.metadata);
  for (const Entry& entry : header.entries) {
    if (entry.name.starts_with(prefix)) {
      file.tensors.emplace(entry.name, read_tensor(path, fd.get(), data_start, entry));
    }
  }
  return file;
}

}  // namespace xgrad::nn
