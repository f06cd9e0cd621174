/*
 * JSON, as RFC 8259 has it: a reader that keeps the first problem of a document, and quoting.
 *
 * Strings are valid UTF-8 or the document is refused; numbers are kept as integers where they are.
 * Knows nothing of messages but where their body is.
 */
#include "gristmill.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How deep values may be nested: the stack is small. */
enum { MAX_DEPTH = 128 };

typedef struct document {
    const char *problem;
} document;

struct gm_json {
    document *of;
    gm_json_type type;
    bool whole; /* a number without fraction that an int64_t holds */
    bool truth;
    int64_t integer;
    double number;
    gm_bytes text;
    gm_bytes name; /* of the field that this is, if it is one */
    gm_json *first;
    gm_json *next;
    size_t count;
};

typedef struct reader {
    const char *begin;
    const char *at;
    const char *end;
    document *of;
    int depth;
} reader;

static void note(document *of, const char *problem)
{
    if (!of->problem)
        of->problem = problem;
}

/* Notes what is wrong, and where: as lines and columns are counted, from 1. */
static gm_json *wrong(reader *in, const char *what)
{
    size_t line = 1, column = 1;
    for (const char *at = in->begin; at < in->at; at++) {
        column++;
        if (*at == '\n') {
            line++;
            column = 1;
        }
    }
    note(in->of, gm_format("%s at line %zu column %zu", in->at < in->end ? what : "EOF while parsing", line, column));
    return NULL;
}

static void skip_space(reader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

static bool take(reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool take_word(reader *in, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(in->end - in->at) < size || memcmp(in->at, word, size) != 0)
        return false;
    in->at += size;
    return true;
}

static size_t encode(char *into, uint32_t c)
{
    if (c < 0x80) {
        into[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        into[0] = (char)(0xc0 | c >> 6);
        into[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        into[0] = (char)(0xe0 | c >> 12);
        into[1] = (char)(0x80 | (c >> 6 & 0x3f));
        into[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    into[0] = (char)(0xf0 | c >> 18);
    into[1] = (char)(0x80 | (c >> 12 & 0x3f));
    into[2] = (char)(0x80 | (c >> 6 & 0x3f));
    into[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static bool read_hex(reader *in, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, in->at++) {
        char c = in->at < in->end ? *in->at : 0;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A' + 10);
        else
            return false;
        *unit = *unit << 4 | digit;
    }
    return true;
}

/* What stands behind a backslash, as bytes; 0 if nothing that may. */
static size_t read_escape(reader *in, char *into)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint32_t unit, low;
    const char *named;
    char c = in->at < in->end ? *in->at : 0;
    if (c != 'u') {
        named = c ? strchr(names, c) : NULL;
        if (!named)
            return 0;
        in->at++;
        *into = values[named - names];
        return 1;
    }
    in->at++;
    if (!read_hex(in, &unit) || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        if (!take(in, '\\') || !take(in, 'u') || !read_hex(in, &low) || low < 0xdc00 || low > 0xdfff)
            return 0;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    return encode(into, unit);
}

static bool read_string(reader *in, gm_bytes *string)
{
    /* Nothing that is written in JSON is shorter than what it means, so this is room enough. */
    size_t room = 1;
    char *text;
    size_t size = 0;
    if (!take(in, '"'))
        return wrong(in, "expected a string");
    for (const char *at = in->at; at < in->end && *at != '"'; at++, room++)
        if (*at == '\\')
            at++, room++;
    text = (char *)gm_alloc(room + 1);
    while (in->at < in->end && *in->at != '"') {
        size_t length;
        if ((unsigned char)*in->at < 0x20)
            return wrong(in, "control character in a string");
        if (take(in, '\\')) {
            length = read_escape(in, text + size);
            if (length == 0)
                return wrong(in, "invalid escape");
        } else {
            length = gm_utf8_sequence(in->at, (size_t)(in->end - in->at));
            if (length == 0)
                return wrong(in, "invalid UTF-8");
            memcpy(text + size, in->at, length);
            in->at += length;
        }
        size += length;
    }
    if (!take(in, '"'))
        return wrong(in, "expected the end of a string");
    string->data = text;
    string->size = size;
    return true;
}

static bool digits(reader *in)
{
    const char *begin = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return in->at > begin;
}

static bool read_number(reader *in, gm_json *value)
{
    const char *begin = in->at;
    bool negative = take(in, '-'), whole = true;
    if (!take(in, '0') && !digits(in))
        return wrong(in, "expected a value");
    if (take(in, '.')) {
        whole = false;
        if (!digits(in))
            return wrong(in, "invalid number");
    }
    if (take(in, 'e') || take(in, 'E')) {
        whole = false;
        if (!take(in, '+'))
            take(in, '-');
        if (!digits(in))
            return wrong(in, "invalid number");
    }
    value->type = GM_JSON_NUMBER;
    value->text.data = gm_format("%.*s", (int)(in->at - begin), begin);
    value->text.size = (size_t)(in->at - begin);
    value->number = strtod(value->text.data, NULL);
    value->whole = whole;
    /* Downwards, since there is one number more below 0 than above. */
    for (const char *at = begin + (negative ? 1 : 0); value->whole && at < in->at; at++) {
        int digit = *at - '0';
        if (value->integer < (INT64_MIN + digit) / 10)
            value->whole = false;
        else
            value->integer = value->integer * 10 - digit;
    }
    if (!negative && value->integer == INT64_MIN)
        value->whole = false;
    if (!negative && value->whole)
        value->integer = -value->integer;
    return true;
}

static gm_json *read_value(reader *in);

/* The elements of an array or the fields of an object, behind the bracket. */
static bool read_elements(reader *in, gm_json *value, char closing)
{
    gm_json **last = &value->first;
    skip_space(in);
    if (take(in, closing))
        return true;
    for (;;) {
        gm_bytes name = {NULL, 0};
        gm_json *element;
        skip_space(in);
        if (value->type == GM_JSON_OBJECT) {
            if (!read_string(in, &name))
                return false;
            skip_space(in);
            if (!take(in, ':'))
                return wrong(in, "expected `:`");
        }
        element = read_value(in);
        if (!element)
            return false;
        element->name = name;
        *last = element;
        last = &element->next;
        value->count++;
        skip_space(in);
        if (take(in, closing))
            return true;
        if (!take(in, ','))
            return wrong(in, closing == '}' ? "expected `,` or `}`" : "expected `,` or `]`");
    }
}

static bool read_into(reader *in, gm_json *value)
{
    if (in->at < in->end && *in->at == '"') {
        value->type = GM_JSON_STRING;
        return read_string(in, &value->text);
    }
    if (take(in, '{')) {
        value->type = GM_JSON_OBJECT;
        return read_elements(in, value, '}');
    }
    if (take(in, '[')) {
        value->type = GM_JSON_ARRAY;
        return read_elements(in, value, ']');
    }
    if (take_word(in, "null")) {
        value->type = GM_JSON_NULL;
        return true;
    }
    value->truth = take_word(in, "true");
    if (value->truth || take_word(in, "false")) {
        value->type = GM_JSON_BOOL;
        return true;
    }
    return read_number(in, value);
}

static gm_json *nothing(document *of)
{
    gm_json *value = (gm_json *)gm_alloc(sizeof(gm_json));
    value->of = of;
    value->text.data = "";
    return value;
}

static gm_json *read_value(reader *in)
{
    gm_json *value = nothing(in->of);
    bool fine;
    skip_space(in);
    if (++in->depth > MAX_DEPTH)
        return wrong(in, "values are nested too deeply");
    fine = read_into(in, value);
    in->depth--;
    return fine ? value : NULL;
}

const gm_json *gm_json_parse(const char *text, size_t size)
{
    reader in;
    gm_json *value;
    in.begin = in.at = text;
    in.end = text + size;
    in.of = (document *)gm_alloc(sizeof(document));
    in.depth = 0;
    value = read_value(&in);
    skip_space(&in);
    if (value && in.at < in.end)
        value = wrong(&in, "trailing characters");
    return value ? value : nothing(in.of);
}

const gm_json *gm_message_json(const gm_message *message)
{
    return gm_json_parse(message->body.data, message->body.size);
}

const char *gm_json_problem(const gm_json *of)
{
    return of->of->problem;
}

gm_result gm_json_reject(const gm_json *of)
{
    return gm_reject("the body is not the JSON that this handler reads: %s", of->of->problem);
}

void gm_json_note(const gm_json *of, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(of->of, gm_vformat(format, arguments));
    va_end(arguments);
}

/* ---- Reading ---- */

static const char *called(gm_json_type type)
{
    static const char *const names[] = {"nothing", "null", "boolean", "number", "string", "array", "object"};
    return names[type];
}

gm_json_type gm_json_type_of(const gm_json *value)
{
    return value->type;
}

/* Notes that a value is of another type than the one that is needed. */
static bool is_of(const gm_json *value, gm_json_type type)
{
    if (value->type == type)
        return true;
    if (value->name.data)
        gm_json_note(value, "invalid type: %s, expected %s for field `%s`", called(value->type), called(type),
                     value->name.data);
    else
        gm_json_note(value, "invalid type: %s, expected %s", called(value->type), called(type));
    return false;
}

static const gm_json *find(const gm_json *object, const char *field)
{
    const gm_json *found = NULL;
    size_t size = strlen(field);
    if (object->type != GM_JSON_OBJECT)
        return NULL;
    for (const gm_json *at = object->first; at; at = at->next) {
        if (at->name.size != size || memcmp(at->name.data, field, size) != 0)
            continue;
        if (found)
            gm_json_note(object, "duplicate field `%s`", field);
        found = at;
    }
    return found;
}

bool gm_json_has(const gm_json *object, const char *field)
{
    const gm_json *found = find(object, field);
    return found && found->type != GM_JSON_NULL;
}

const gm_json *gm_json_any(const gm_json *object, const char *field)
{
    const gm_json *found;
    if (!is_of(object, GM_JSON_OBJECT))
        return nothing(object->of);
    found = find(object, field);
    if (found)
        return found;
    gm_json_note(object, "missing field `%s`", field);
    return nothing(object->of);
}

const char *gm_json_string(const gm_json *object, const char *field)
{
    gm_bytes text = gm_json_as_string(gm_json_any(object, field));
    if (memchr(text.data, 0, text.size))
        gm_json_note(object, "field `%s` holds a zero character", field);
    return text.data;
}

int64_t gm_json_integer_within(const gm_json *object, const char *field, int64_t least, int64_t most)
{
    const gm_json *found = gm_json_any(object, field);
    int64_t integer = gm_json_as_integer(found);
    if (integer >= least && integer <= most)
        return integer;
    gm_json_note(object, "invalid value: %s for field `%s`, expected %lld to %lld", found->text.data, field,
                 (long long)least, (long long)most);
    return least;
}

int64_t gm_json_integer(const gm_json *object, const char *field)
{
    return gm_json_as_integer(gm_json_any(object, field));
}

double gm_json_number(const gm_json *object, const char *field)
{
    return gm_json_as_number(gm_json_any(object, field));
}

bool gm_json_bool(const gm_json *object, const char *field)
{
    return gm_json_as_bool(gm_json_any(object, field));
}

static const gm_json *of_type(const gm_json *object, const char *field, gm_json_type type)
{
    const gm_json *found = gm_json_any(object, field);
    return is_of(found, type) ? found : nothing(object->of);
}

const gm_json *gm_json_object(const gm_json *object, const char *field)
{
    return of_type(object, field, GM_JSON_OBJECT);
}

const gm_json *gm_json_array(const gm_json *object, const char *field)
{
    return of_type(object, field, GM_JSON_ARRAY);
}

size_t gm_json_count(const gm_json *value)
{
    return value->count;
}

const gm_json *gm_json_first(const gm_json *value)
{
    return value->first;
}

const gm_json *gm_json_next(const gm_json *element)
{
    return element->next;
}

const gm_json *gm_json_at(const gm_json *value, size_t index)
{
    size_t left = index;
    const gm_json *element = value->first;
    while (element && left-- > 0)
        element = element->next;
    if (element)
        return element;
    gm_json_note(value, "there is no element %zu", index);
    return nothing(value->of);
}

const char *gm_json_name(const gm_json *element)
{
    return element->name.data;
}

gm_bytes gm_json_as_string(const gm_json *value)
{
    gm_bytes empty = {"", 0};
    return is_of(value, GM_JSON_STRING) ? value->text : empty;
}

int64_t gm_json_as_integer(const gm_json *value)
{
    if (!is_of(value, GM_JSON_NUMBER))
        return 0;
    if (!value->whole)
        gm_json_note(value, "invalid number: %s, expected an integer of 64 bits", value->text.data);
    return value->whole ? value->integer : 0;
}

double gm_json_as_number(const gm_json *value)
{
    return is_of(value, GM_JSON_NUMBER) ? value->number : 0;
}

bool gm_json_as_bool(const gm_json *value)
{
    return is_of(value, GM_JSON_BOOL) && value->truth;
}

/* ---- Writing ---- */

const char *gm_quote_bytes(const char *data, size_t size)
{
    /* A byte becomes six at most. */
    char *text = (char *)gm_alloc(6 * size + 3), *to = text;
    *to++ = '"';
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)data[i];
        size_t length = gm_utf8_sequence(data + i, size - i);
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else if (c < 0x20) {
            to += snprintf(to, 7, "\\u%04x", c);
        } else if (length == 0) {
            to += encode(to, 0xfffd); /* what is no UTF-8 cannot be said in JSON */
        } else {
            memcpy(to, data + i, length);
            to += length;
        }
        i += length > 0 ? length : 1;
    }
    *to++ = '"';
    return text;
}

const char *gm_quote(const char *text)
{
    return gm_quote_bytes(text, strlen(text));
}
