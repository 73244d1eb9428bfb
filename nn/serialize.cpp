#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <xgrad/nn/serialize.hpp>

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace xgrad::nn {

namespace {

using Json = nlohmann::json;
using Path = std::filesystem::path;

constexpr const char* metadata_key = "__metadata__";
constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t max_header = 100'000'000;  // as in the reference implementation

[[noreturn]] void fail(const char* op, const Path& path, const std::string& what) {
  throw Error(std::string(op) + ": " + path.string() + ": " + what);
}

[[noreturn]] void fail_errno(const char* op, const Path& path, const char* action) {
  const int error = errno;
  fail(op, path, std::string(action) + ": " + std::strerror(error));
}

/// An open file, closed at the end of the scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  /// False if the system reports a write error as late as now.
  bool close() {
    if (fd_ < 0) return true;
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0;
  }

 private:
  int fd_;
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

/// A new file beside `target`, which it replaces on commit; removed if that does not happen.
class TemporaryFile {
 public:
  explicit TemporaryFile(const Path& target) : target_(target) {
    struct stat old;
    const bool replaces = ::stat(target.c_str(), &old) == 0;
    if (replaces && !S_ISREG(old.st_mode)) fail(write_op, target_, "not a file");
    if (replaces && ::access(target.c_str(), W_OK) != 0)
      fail_errno(write_op, target_, "cannot write");
    do {  // a process of the same number may have left files behind
      path_ = unique_name(target);
      fd_ = std::make_unique<Descriptor>(
          open_retrying(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666));
    } while (!fd_->valid() && errno == EEXIST);
    if (!fd_->valid()) fail_errno(write_op, target_, "cannot create a file in this folder");
    // A replaced file keeps its access rights; where the system refuses that, they are the usual.
    if (replaces) (void)!::fchmod(fd_->get(), old.st_mode & 07777);
  }
  ~TemporaryFile() {
    if (!committed_ && fd_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_->get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_errno(write_op, target_, "cannot write");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  void commit() {
    if (::fsync(fd_->get()) != 0) fail_errno(write_op, target_, "cannot sync");
    if (!fd_->close()) fail_errno(write_op, target_, "cannot write");
    if (::rename(path_.c_str(), target_.c_str()) != 0) {
      fail_errno(write_op, target_, "cannot rename the new file");
    }
    committed_ = true;
    sync_folder();
  }

 private:
  static Path unique_name(const Path& target) {
    static std::atomic<unsigned> count{0};
    Path path = target;
    path += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
    return path;
  }

  /// Makes the rename itself durable. Some file systems cannot sync a folder; then there is nothing
  /// more to be done.
  void sync_folder() const {
    const Path folder = target_.has_parent_path() ? target_.parent_path() : Path(".");
    const Descriptor fd(open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY));
    if (!fd.valid()) return;
    if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS) {
      fail_errno(write_op, target_, "cannot sync the folder");
    }
  }

  Path target_;
  Path path_;
  std::unique_ptr<Descriptor> fd_;
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
       "tensor '" + name + "' is " + xgrad::name(dtype) + ": must be float32 or float64");
}

/// In the order of their data: float64 first, so that every tensor is aligned, then by name.
std::vector<const std::pair<const std::string, Tensor>*> data_order(const SafetensorsFile& file) {
  std::vector<const std::pair<const std::string, Tensor>*> order;
  for (const auto& entry : file.tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return item_size(a->second.dtype()) > item_size(b->second.dtype());
  });
  return order;
}

std::string make_header(const Path& path, const SafetensorsFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header[metadata_key] = file.metadata;
  std::uint64_t offset = 0;
  for (const auto* entry : data_order(file)) {
    const auto& [name, tensor] = *entry;
    if (name == metadata_key) fail(write_op, path, "a tensor cannot be named '" + name + "'");
    const char* dtype = format_dtype(path, name, tensor.dtype());
    const std::uint64_t end =
        offset + static_cast<std::uint64_t>(tensor.size()) * item_size(tensor.dtype());
    header[name] = {{"dtype", dtype},
                    {"shape", std::vector<Index>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const Json::exception&) {
    fail(write_op, path, "names and metadata must be valid UTF-8");
  }
}

// ---------------------------------------------------------------- reading

constexpr const char* read_op = "read_safetensors";

/// One tensor of the header, its numbers checked against each other and the file.
struct Entry {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin, end;  // from the start of the data
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

/// The JSON object of the header. The parser alone would let the last of two equal names win.
Json parse_header(const Path& path, const std::string& text) {
  std::vector<std::set<std::string>> names;
  std::optional<std::string> duplicate;
  const auto check = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(parsed).second) {
      duplicate = parsed.get<std::string>();
    }
    return true;
  };
  const Json header = Json::parse(text, check, /*allow_exceptions=*/false);
  if (header.is_discarded()) {
    fail(read_op, path, "not a safetensors file, or damaged: the header is not valid JSON");
  }
  if (!header.is_object()) fail(read_op, path, "the header is not a JSON object");
  if (duplicate) fail(read_op, path, "the name '" + *duplicate + "' appears twice");
  return header;
}

/// A list of numbers that are not negative, or nothing.
bool get_numbers(const Json& json, std::vector<std::uint64_t>& numbers) {
  if (!json.is_array()) return false;
  for (const Json& number : json) {
    if (!number.is_number_unsigned()) return false;
    numbers.push_back(number.get<std::uint64_t>());
  }
  return true;
}

/// Bytes of one element in the file, 0 for a dtype that is not known.
std::uint64_t format_item_size(const std::string& dtype) {
  if (dtype == "F64") return 8;
  if (dtype == "F32") return 4;
  if (dtype == "F16" || dtype == "BF16") return 2;
  return 0;
}

Entry parse_entry(const Path& path, const std::string& name, const Json& json,
                  std::uint64_t data_size) {
  const std::string tensor = "tensor '" + name + "'";
  const auto member = [&](const char* key) {
    const auto found = json.find(key);
    return found == json.end() ? Json() : *found;
  };
  if (!json.is_object()) fail(read_op, path, tensor + " has no description");
  const Json dtype = member("dtype");
  if (!dtype.is_string()) fail(read_op, path, tensor + " has no dtype");
  Entry entry{.name = name, .dtype = dtype.get<std::string>(), .shape = {}, .begin = 0, .end = 0};
  if (!get_numbers(member("shape"), entry.shape)) fail(read_op, path, tensor + " has no shape");
  std::vector<std::uint64_t> offsets;
  if (!get_numbers(member("data_offsets"), offsets) || offsets.size() != 2) {
    fail(read_op, path, tensor + " has no data_offsets [begin, end]");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.begin > entry.end || entry.end > data_size) {
    fail(read_op, path,
         "damaged: " + tensor + " lies at bytes " + std::to_string(entry.begin) + " to " +
             std::to_string(entry.end) + " of " + std::to_string(data_size));
  }
  return entry;
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
           "damaged: tensor '" + entry.name + "' begins at byte " + std::to_string(entry.begin) +
               ", the one before it ends at " + std::to_string(end));
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
  const std::string tensor = "tensor '" + entry.name + "'";
  if (entry.shape.size() > Shape::max_axes) {
    fail(read_op, path,
         tensor + " has " + std::to_string(entry.shape.size()) + " axes: at most " +
             std::to_string(Shape::max_axes) + " are supported");
  }
  const std::uint64_t item = format_item_size(entry.dtype);
  constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
  std::uint64_t count = 1;
  bool fits = true;
  // An extent of 0 may stand beside extents whose product alone would overflow.
  const bool empty = std::find(entry.shape.begin(), entry.shape.end(), 0U) != entry.shape.end();
  for (const std::uint64_t extent : entry.shape) {
    fits = fits && extent <= limit && (empty || count <= limit / extent);
    count = empty ? 0 : count * extent;
  }
  if (!fits || count > limit / item || count * item != entry.end - entry.begin) {
    fail(read_op, path,
         "damaged: " + tensor + " has " + std::to_string(entry.end - entry.begin) +
             " bytes, which is not what its shape and dtype " + entry.dtype + " need");
  }
  return Shape(entry.shape.begin(), entry.shape.end());
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
    fail(
        read_op, path,
        "tensor '" + entry.name + "' has dtype " + entry.dtype + ": must be F32, F64, F16 or BF16");
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
  const Path path = path_name;
  const std::string header = make_header(path, file);
  const std::uint64_t length = header.size();
  TemporaryFile out(followed(path));
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(std::as_bytes(std::span(header)));
  for (const auto* entry : data_order(file)) {
    const Tensor tensor = detail::contiguous(entry->second);
    const std::size_t items = static_cast<std::size_t>(tensor.size());
    out.write({tensor.bytes(), items * item_size(tensor.dtype())});
  }
  out.commit();
}

SafetensorsFile read_safetensors(const std::string& path_name, std::string_view prefix) {
  const Path path = path_name;
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
  const Json header = parse_header(path, text);
  const std::uint64_t data_start = length_bytes + header_size;
  const std::uint64_t data_size = file_size - data_start;

  SafetensorsFile file;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != metadata_key) {
      entries.push_back(parse_entry(path, name, json, data_size));
      continue;
    }
    if (!json.is_object()) fail(read_op, path, "the metadata is not a JSON object");
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) fail(read_op, path, "the metadata '" + key + "' is not text");
      file.metadata[key] = value.get<std::string>();
    }
  }
  check_layout(path, entries, data_size);
  for (const Entry& entry : entries) {
    if (entry.name.starts_with(prefix)) {
      file.tensors.emplace(entry.name, read_tensor(path, fd.get(), data_start, entry));
    }
  }
  return file;
}

}  // namespace xgrad::nn
