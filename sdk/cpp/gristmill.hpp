/*
 * Gristmill handlers in C++23: one header over the library in C (sdk/c), which is built with it.
 *
 *     gm::Result handle(const gm::Message &message) {
 *         const auto order = message.json();
 *         const auto id = order.string("id");
 *         const auto cents = order.integer("cents");
 *         if (order.problem()) return order.reject();      // not the JSON expected: dead, with the place
 *         GM_TRY(gm::state::add("cents", cents));          // an error is a retry
 *         GM_TRY(gm::send("invoices", gm::object({{"order", id}, {"cents", cents}})));
 *         return gm::ok();
 *     }
 *     GM_HANDLER(handle)
 *
 * Nothing here throws: compilers for WebAssembly come without exceptions. What is returned as a
 * std::string_view lives until the delivery ends, and a zero byte stands behind it.
 */
#ifndef GRISTMILL_HPP
#define GRISTMILL_HPP

#include "gristmill.h"

#include <charconv>
#include <chrono>
#include <concepts>
#include <expected>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/* Makes a function of yours what the host calls. Once in a program. */
#define GM_HANDLER(function)                                                                   \
    extern "C" gm_result handle(const gm_message *message) { return function(gm::Message(message)); }

namespace gm {

using std::chrono::milliseconds;

namespace detail {

/* A text for C, with a zero byte behind it, that lives as long as the delivery. */
inline const char *text(std::string_view view) {
    auto *copied = static_cast<char *>(gm_alloc(view.size() + 1));
    view.copy(copied, view.size());
    return copied;
}

/* As text, where an empty one stands for none. */
inline const char *given(std::string_view view) { return view.empty() ? nullptr : text(view); }

inline std::optional<std::string_view> optional(const char *text) {
    return text ? std::optional<std::string_view>(text) : std::nullopt;
}

inline std::string_view view(gm_bytes bytes) { return {bytes.data ? bytes.data : "", bytes.size}; }

inline std::uint64_t count(milliseconds time) {
    return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

} // namespace detail

/* What becomes of a message. */
using Result = gm_result;

/* Why something was not done; false if it was. GM_TRY hands it on as a retry. */
class [[nodiscard]] Error {
public:
    Error(const gm_error *error) : error_(error) {}
    operator const gm_error *() const { return error_; }
    gm_error_code code() const { return error_->code; }
    std::uint64_t limit() const { return error_->limit; }
    std::string_view message() const { return error_->message; }

private:
    const gm_error *error_;
};

template <class T> using Expected = std::expected<T, Error>;

/* Done: what was sent and stored counts. */
inline Result ok() { return gm_ok(); }
/* It may work later: deliver again after the back-off of the queue. */
inline Result retry(std::string_view why) { return gm_retry("%s", detail::text(why)); }
inline Result retry(const Error &error) { return retry(error.message()); }
/* As retry, with the least time to wait. */
inline Result retry_after(std::string_view why, milliseconds delay) {
    return gm_retry_after(detail::count(delay), "%s", detail::text(why));
}
/* It will never work: the message is dead now. */
inline Result reject(std::string_view why) { return gm_reject("%s", detail::text(why)); }
/* It is not its turn: deliver again after the delay, without counting the attempt. */
inline Result postpone(milliseconds delay) { return gm_postpone(detail::count(delay)); }

/* ---- JSON ---- */

/* JSON that is written: made of what it holds, or by object and array. */
class Json {
public:
    Json(std::nullptr_t) : text_("null") {}
    Json(std::string_view text) : text_(gm_quote_bytes(text.data(), text.size())) {}
    Json(const char *text) : text_(gm_quote(text)) {}
    Json(const std::string &text) : Json(std::string_view(text)) {}
    template <std::same_as<bool> T> Json(T truth) : text_(truth ? "true" : "false") {}
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Json(T number) : text_(std::to_string(number)) {}
    /* What is no number in JSON (infinity, NaN) is null. */
    Json(double number) {
        char digits[32];
        const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
        text_.assign(digits, end);
        if (text_.find_first_of("ni") != std::string::npos) text_ = "null";
    }

    const std::string &text() const { return text_; }

private:
    friend Json object(std::initializer_list<std::pair<std::string_view, Json>>);
    friend Json array(const std::vector<Json> &);
    std::string text_;
};

inline Json object(std::initializer_list<std::pair<std::string_view, Json>> fields) {
    Json made(nullptr);
    made.text_ = "{";
    for (const auto &[name, value] : fields) {
        if (made.text_.size() > 1) made.text_ += ',';
        made.text_ += Json(name).text() + ':' + value.text();
    }
    made.text_ += '}';
    return made;
}

inline Json array(const std::vector<Json> &elements) {
    Json made(nullptr);
    made.text_ = "[";
    for (const auto &element : elements) {
        if (made.text_.size() > 1) made.text_ += ',';
        made.text_ += element.text();
    }
    made.text_ += ']';
    return made;
}

/*
 * JSON that is read. Reading goes on after something was wrong, with empty values; the first thing that
 * was wrong is kept for the whole document: read all that is needed, then ask once.
 */
class Value {
public:
    explicit Value(const gm_json *json) : json_(json) {}

    static Value parse(std::string_view text) { return Value(gm_json_parse(text.data(), text.size())); }

    /* A field that has to be there and of that type. */
    std::string_view string(const char *field) const {
        return detail::view(gm_json_as_string(gm_json_any(json_, field)));
    }
    std::int64_t integer(const char *field, std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                         std::int64_t most = std::numeric_limits<std::int64_t>::max()) const {
        return gm_json_integer_within(json_, field, least, most);
    }
    double number(const char *field) const { return gm_json_number(json_, field); }
    bool boolean(const char *field) const { return gm_json_bool(json_, field); }
    Value object(const char *field) const { return Value(gm_json_object(json_, field)); }
    Value array(const char *field) const { return Value(gm_json_array(json_, field)); }

    /* Whether an object has the field, and it is not null. */
    bool has(const char *field) const { return gm_json_has(json_, field); }
    gm_json_type type() const { return gm_json_type_of(json_); }
    std::size_t size() const { return gm_json_count(json_); }
    bool empty() const { return size() == 0; }
    /* The name of a field of an object that is gone through. */
    std::string_view name() const { return gm_json_name(json_) ? gm_json_name(json_) : ""; }

    /* The value itself, where it has to be of that type. */
    std::string_view as_string() const { return detail::view(gm_json_as_string(json_)); }
    std::int64_t as_integer() const { return gm_json_as_integer(json_); }
    double as_number() const { return gm_json_as_number(json_); }
    bool as_boolean() const { return gm_json_as_bool(json_); }

    /* What was wrong first, and the rejection that says it. */
    std::optional<std::string_view> problem() const { return detail::optional(gm_json_problem(json_)); }
    Result reject() const { return gm_json_reject(json_); }

    /* Goes through the elements of an array, or the fields of an object. */
    class Iterator {
    public:
        using value_type = Value;
        using difference_type = std::ptrdiff_t;
        explicit Iterator(const gm_json *at = nullptr) : at_(at) {}
        Value operator*() const { return Value(at_); }
        Iterator &operator++() {
            at_ = gm_json_next(at_);
            return *this;
        }
        Iterator operator++(int) {
            auto before = *this;
            ++*this;
            return before;
        }
        bool operator==(const Iterator &) const = default;

    private:
        const gm_json *at_;
    };
    Iterator begin() const { return Iterator(gm_json_first(json_)); }
    Iterator end() const { return Iterator(); }

private:
    const gm_json *json_;
};

/* ---- Sending ---- */

/* What may be said of a message that is sent; what is empty is not said. */
struct Options {
    std::string_view content_type = {};
    std::vector<std::pair<std::string_view, std::string_view>> attributes = {};
    std::string_view group = {};
    std::string_view correlation_id = {};
    std::string_view reply_to = {};
    std::string_view message_type = {};
    std::string_view schema_version = {};
    std::string_view dedup_id = {};
    milliseconds delay = {};
    milliseconds ttl = {};
    std::optional<std::uint8_t> priority = {};
    std::string_view *id = nullptr; /* where to put the id of the message, if it is wanted */
};

namespace detail {

/* The options as C has them, and where it puts the id. */
class Wired {
public:
    Wired(const Options &options, const char *content_type) : id_(options.id) {
        for (const auto &[name, value] : options.attributes)
            attributes_.push_back({text(name), text(value), value.size()});
        wired_.content_type = options.content_type.empty() ? content_type : text(options.content_type);
        wired_.attributes = attributes_.data();
        wired_.attribute_count = attributes_.size();
        wired_.group = given(options.group);
        wired_.correlation_id = given(options.correlation_id);
        wired_.reply_to = given(options.reply_to);
        wired_.message_type = given(options.message_type);
        wired_.schema_version = given(options.schema_version);
        wired_.dedup_id = given(options.dedup_id);
        wired_.delay_ms = count(options.delay);
        wired_.ttl_ms = count(options.ttl);
        wired_.has_priority = options.priority.has_value();
        wired_.priority = options.priority.value_or(0);
        wired_.id = &sent_;
    }
    Wired(const Wired &) = delete;
    Wired &operator=(const Wired &) = delete;

    const gm_options *get() const { return &wired_; }
    Error sent(const gm_error *error) const {
        if (!error && id_) *id_ = sent_;
        return error;
    }

private:
    std::vector<gm_attribute> attributes_;
    gm_options wired_ = {};
    const char *sent_ = nullptr;
    std::string_view *id_;
};

inline constexpr const char *TEXT = "text/plain; charset=utf-8";
inline constexpr const char *JSON = "application/json";

} // namespace detail

/* Sends bytes with the acknowledgement of this delivery. */
inline Error send_bytes(std::string_view queue, std::string_view bytes, const Options &options = {}) {
    const detail::Wired wired(options, nullptr);
    return wired.sent(gm_send_bytes(detail::text(queue), bytes.data(), bytes.size(), wired.get()));
}
/* Sends text. */
inline Error send(std::string_view queue, std::string_view text, const Options &options = {}) {
    const detail::Wired wired(options, detail::TEXT);
    return wired.sent(gm_send_bytes(detail::text(queue), text.data(), text.size(), wired.get()));
}
inline Error send(std::string_view queue, const char *text, const Options &options = {}) {
    return send(queue, std::string_view(text), options);
}
/* Sends JSON. */
inline Error send(std::string_view queue, const Json &json, const Options &options = {}) {
    const detail::Wired wired(options, detail::JSON);
    return wired.sent(gm_send_bytes(detail::text(queue), json.text().data(), json.text().size(), wired.get()));
}

/* ---- Messages ---- */

/* A message as it is delivered. What the sender did not give is not there. */
class Message {
public:
    explicit Message(const gm_message *message) : message_(message) {}

    std::string_view id() const { return message_->id; }
    std::string_view queue() const { return message_->queue; }
    std::string_view body() const { return detail::view(message_->body); }
    Value json() const { return Value(gm_message_json(message_)); }
    std::optional<std::string_view> content_type() const { return detail::optional(message_->content_type); }
    std::optional<std::string_view> attribute(const char *name) const {
        for (const auto &[known, value] : attributes())
            if (known == name) return value;
        return std::nullopt;
    }
    std::vector<std::pair<std::string_view, std::string_view>> attributes() const {
        std::vector<std::pair<std::string_view, std::string_view>> all;
        for (std::size_t i = 0; i < message_->attribute_count; i++) {
            const auto &at = message_->attributes[i];
            all.emplace_back(at.name, std::string_view(at.value, at.value_size));
        }
        return all;
    }
    std::optional<std::string_view> group() const { return detail::optional(message_->group); }
    std::optional<std::string_view> correlation_id() const { return detail::optional(message_->correlation_id); }
    std::optional<std::string_view> causation_id() const { return detail::optional(message_->causation_id); }
    std::optional<std::string_view> reply_to() const { return detail::optional(message_->reply_to); }
    std::optional<std::string_view> message_type() const { return detail::optional(message_->message_type); }
    std::optional<std::string_view> schema_version() const { return detail::optional(message_->schema_version); }
    std::optional<std::string_view> source() const { return detail::optional(message_->source); }
    std::optional<std::string_view> traceparent() const { return detail::optional(message_->traceparent); }
    std::optional<std::string_view> tracestate() const { return detail::optional(message_->tracestate); }
    std::uint8_t priority() const { return message_->priority; }
    std::uint32_t attempt() const { return message_->attempt; }
    std::chrono::sys_time<milliseconds> enqueued_at() const { return at(message_->enqueued_at_ms); }
    std::optional<std::chrono::sys_time<milliseconds>> expires_at() const {
        if (message_->expires_at_ms == 0) return std::nullopt;
        return at(message_->expires_at_ms);
    }

    /* Answers to the queue that the sender named. */
    Error reply(std::string_view text, const Options &options = {}) const {
        return reply_bytes(text, options, detail::TEXT);
    }
    Error reply(const char *text, const Options &options = {}) const { return reply(std::string_view(text), options); }
    Error reply(const Json &json, const Options &options = {}) const {
        return reply_bytes(json.text(), options, detail::JSON);
    }
    Error reply_bytes(std::string_view bytes, const Options &options = {}, const char *content_type = nullptr) const {
        const detail::Wired wired(options, content_type);
        return wired.sent(gm_reply_bytes(message_, bytes.data(), bytes.size(), wired.get()));
    }

    /* A large body, piece by piece. A handler that uses these gets large bodies only this way. */
    Expected<std::uint64_t> body_size() const {
        std::uint64_t size = 0;
        if (Error error = gm_body_size(message_, &size)) return std::unexpected(error);
        return size;
    }
    Expected<std::string_view> read_body(std::uint64_t offset, std::uint32_t most) const {
        gm_bytes piece;
        if (Error error = gm_body_read(message_, offset, most, &piece)) return std::unexpected(error);
        return detail::view(piece);
    }

private:
    static std::chrono::sys_time<milliseconds> at(std::uint64_t ms) {
        return std::chrono::sys_time<milliseconds>(milliseconds(static_cast<std::int64_t>(ms)));
    }

    const gm_message *message_;
};

/* ---- State: durable keys and values, private to the handler ---- */

namespace state {

inline Expected<std::optional<std::string_view>> get(std::string_view key) {
    gm_bytes value;
    if (Error error = gm_state_get(detail::text(key), &value)) return std::unexpected(error);
    if (!value.data) return std::nullopt;
    return detail::view(value);
}
inline Error set(std::string_view key, std::string_view value) {
    return gm_state_set(detail::text(key), value.data(), value.size());
}
inline Error remove(std::string_view key) { return gm_state_remove(detail::text(key)); }
/* Adds to a counter, which starts at 0. Deliveries that only add do not disturb each other. */
inline Error add(std::string_view key, std::int64_t delta) { return gm_state_add(detail::text(key), delta); }
inline Expected<std::int64_t> counter(std::string_view key) {
    std::int64_t count = 0;
    if (Error error = gm_state_counter(detail::text(key), &count)) return std::unexpected(error);
    return count;
}
/* At most `limit` keys (and at most 1,000) that start with `prefix` and sort after `after`. */
inline Expected<std::vector<std::string_view>> keys(std::string_view prefix, std::string_view after = {},
                                                    std::uint32_t limit = 1000) {
    gm_keys keys;
    if (Error error = gm_state_keys(detail::text(prefix), detail::given(after), limit, &keys))
        return std::unexpected(error);
    return std::vector<std::string_view>(keys.keys, keys.keys + keys.count);
}

} // namespace state

/* ---- The delivery ---- */

/* Drops what was sent and stored since it was made, unless it is kept. */
class Savepoint {
public:
    Savepoint() : mark_(gm_mark()) {}
    Savepoint(const Savepoint &) = delete;
    Savepoint &operator=(const Savepoint &) = delete;
    ~Savepoint() {
        if (!kept_) gm_rollback_to(mark_);
    }
    void keep() { kept_ = true; }

private:
    std::uint32_t mark_;
    bool kept_ = false;
};

/* Time until the host stops the handler. */
inline milliseconds remaining() { return milliseconds(static_cast<std::int64_t>(gm_remaining_ms())); }
/* Asks that so much be left. Returns what is. */
inline Expected<milliseconds> extend(milliseconds need) {
    std::uint64_t left = 0;
    if (Error error = gm_extend(detail::count(need), &left)) return std::unexpected(error);
    return milliseconds(static_cast<std::int64_t>(left));
}
/* Whether to wind up early. */
inline bool ending() { return gm_ending(); }
/* Tells operators how far the delivery has come. */
inline void progress(std::uint8_t percent, std::string_view note) { gm_progress(percent, detail::text(note)); }
/* How many attempts a message gets, if there is a limit. */
inline std::optional<std::uint32_t> max_attempts() {
    const auto most = gm_max_attempts();
    return most > 0 ? std::optional(most) : std::nullopt;
}
inline std::optional<std::string_view> previous_failure() { return detail::optional(gm_previous_failure()); }
/* A secret that was granted to the handler. */
inline std::optional<std::string_view> secret(std::string_view name) {
    return detail::optional(gm_secret(detail::text(name)));
}

} // namespace gm

#endif
