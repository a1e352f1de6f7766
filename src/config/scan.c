/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/scan - a state machine over characters, with a stack for what is open.
 *
 *   VALUE --scalar--> AFTER --','--> KEY or VALUE        KEY --"name":--> VALUE
 *   VALUE --'{'--> FIRST_KEY      VALUE --'['--> FIRST_VALUE      AFTER --'}' or ']'--> AFTER
 *   AFTER, nothing open, at the end of the text: done
 */
#include "config/scan.h"

#include "base/assert.h"
#include "config/problems.h"

/* Signs of UTF-8, escapes and control characters. */
enum {
    BLANK = 0x20,
    ASCII_END = 0x80,
    UTF8_INNER = 0x80,
    UTF8_INNER_MASK = 0xC0,
    UTF8_INNER_BITS = 6,
    ESCAPE_DIGITS = 4,
    ESCAPE_BYTES = 6,
    HEX_BITS = 4,
    HEX_TEN = 10,
    SURROGATE_FIRST = 0xD800,
    SURROGATE_LOW = 0xDC00,
    SURROGATE_LAST = 0xDFFF,
};

/* What may come next. */
enum expected {
    EXPECT_VALUE,
    EXPECT_FIRST_VALUE, /* Or the end of the list. */
    EXPECT_KEY,
    EXPECT_FIRST_KEY, /* Or the end of the object. */
    EXPECT_AFTER,     /* A comma or an end. */
};

/* A scan under way. */
struct scanner {
    struct config_scan *out;
    const uint8_t *data;
    size_t count;
    size_t at;
    size_t spot_at; /* What `spot` is the spot of. */
    struct config_spot spot;
    struct config_spot key_spot; /* Of the key whose value comes next. */
    enum expected expected;
    size_t depth;
    size_t open[CONFIG_DEPTH_MAX]; /* The places of what is open. */
    struct text *problem;
};

/* -- Characters -- */

/* Add to @code the bits of the @more bytes behind the first of @bytes. Return false if one of them
 * is missing or none that may stand inside of a character. */
static bool utf8_inner(struct bytes bytes, size_t more, uint32_t *code)
{
    ASSERT(bytes.count > 0);

    if (more >= bytes.count) {
        return false;
    }
    for (size_t at = 1; at <= more; at++) {
        if ((bytes.data[at] & UTF8_INNER_MASK) != UTF8_INNER) {
            return false;
        }
        *code = *code << UTF8_INNER_BITS | (uint32_t)(bytes.data[at] & ~UTF8_INNER_MASK);
    }
    return true;
}

/* Return the bytes of the UTF-8 character at the start of @bytes, 0 if it is none. */
static size_t utf8_bytes(struct bytes bytes)
{
    static const struct {
        uint8_t mask;
        uint8_t lead;
        uint32_t least; /* Code that needs so many bytes. */
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};

    static const uint32_t code_last = 0x10FFFF;
    ASSERT(bytes.count > 0);

    size_t more = 0;
    while (more < sizeof forms / sizeof *forms &&
           (bytes.data[0] & forms[more].mask) != forms[more].lead) {
        more++;
    }
    if (more == sizeof forms / sizeof *forms) {
        return 0;
    }
    uint32_t code = (uint8_t)(bytes.data[0] & ~forms[more].mask);
    if (!utf8_inner(bytes, more, &code) || code < forms[more].least || code > code_last) {
        return 0;
    }
    bool is_surrogate = code >= SURROGATE_FIRST && code <= SURROGATE_LAST;
    return is_surrogate ? 0 : more + 1;
}

/* Bring the scanner's spot to @at, which lies at or behind the last one asked for. */
static struct config_spot spot_of(struct scanner *scanner, size_t at)
{
    ASSERT(at >= scanner->spot_at);

    for (; scanner->spot_at < at; scanner->spot_at++) {
        if (scanner->data[scanner->spot_at] == '\n') {
            scanner->spot.line++;
            scanner->spot.column = 1;
        } else if ((scanner->data[scanner->spot_at] & UTF8_INNER_MASK) != UTF8_INNER) {
            scanner->spot.column++;
        }
    }
    /* Inside of a character, the column is that of the character. */
    return scanner->spot;
}

/* End the scan at @at because of @why. Return false, for the caller to return. */
static bool refuse(struct scanner *scanner, size_t at, const char *why)
{
    ASSERT(scanner->problem->count == 0);

    (void)spot_of(scanner, at);
    text_put(scanner->problem, why);
    return false;
}

static bool is_word_sign(uint8_t sign)
{
    bool is_letter = (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z');
    bool is_digit = sign >= '0' && sign <= '9';
    return is_letter || is_digit || sign == '+' || sign == '-' || sign == '.' || sign == '_' ||
           sign >= ASCII_END;
}

/* Return the run at the scanner of what a word or a number is made of; else the next character. */
static struct bytes word_here(const struct scanner *scanner)
{
    ASSERT(scanner->at < scanner->count);

    size_t end = scanner->at;
    while (end < scanner->count && is_word_sign(scanner->data[end])) {
        end++;
    }
    size_t count = end > scanner->at ? end - scanner->at : 1;
    return (struct bytes){.data = scanner->data + scanner->at, .count = count};
}

/* End the scan here because something else was @wanted. */
static bool refuse_here(struct scanner *scanner, const char *wanted)
{
    if (scanner->at == scanner->count) {
        (void)spot_of(scanner, scanner->at);
        text_format(scanner->problem, "the file ends too early; expected %s", wanted);
        return false;
    }
    struct bytes word = word_here(scanner);
    ASSERT(word.count > 0);
    (void)spot_of(scanner, scanner->at);
    text_put(scanner->problem, "found '");
    config_put_shown(scanner->problem, word);
    text_format(scanner->problem, "'; expected %s", wanted);
    return false;
}

/* -- Whole text -- */

/* Check what concerns the text as bytes, before anything is read from it. */
static bool check_bytes(struct scanner *scanner)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    ASSERT(scanner->at == 0);

    if (scanner->count >= sizeof mark && memcmp(scanner->data, mark, sizeof mark) == 0) {
        return refuse(scanner, 0, "a byte order mark; allowed: UTF-8 without one");
    }
    size_t at = 0;
    while (at < scanner->count) {
        if (scanner->data[at] == 0) {
            return refuse(scanner, at, "a zero byte; allowed: UTF-8 text");
        }
        size_t bytes = utf8_bytes((struct bytes){scanner->data + at, scanner->count - at});
        if (bytes == 0) {
            return refuse(scanner, at, "bytes that are not UTF-8; allowed: UTF-8 text");
        }
        at += bytes;
    }
    return true;
}

/* Make a comment at the scanner blank, up to the end of its line. */
static void comment_blank(struct scanner *scanner)
{
    ASSERT(scanner->data[scanner->at] == '/');

    while (scanner->at < scanner->count && scanner->data[scanner->at] != '\n') {
        /* Blanks take the place of inner bytes too, so that columns no longer count here: the spot
         * goes on first. */
        (void)spot_of(scanner, scanner->at);
        scanner->out->plain[scanner->at++] = ' ';
    }
}

/* Go to the next sign that is neither blank nor comment. */
static bool skip_blanks(struct scanner *scanner)
{
    ASSERT(scanner->at <= scanner->count);

    while (scanner->at < scanner->count) {
        uint8_t sign = scanner->data[scanner->at];
        uint8_t next = scanner->at + 1 < scanner->count ? scanner->data[scanner->at + 1] : 0;
        if (sign == ' ' || sign == '\t' || sign == '\n' || sign == '\r') {
            scanner->at++;
        } else if (sign == '/' && next == '/') {
            comment_blank(scanner);
        } else if (sign == '#' || (sign == '/' && next == '*')) {
            return refuse(scanner, scanner->at,
                          sign == '#' ? "a comment with '#'; allowed: // to the end of the line"
                                      : "a comment with '/*'; allowed: // to the end of the line");
        } else {
            break;
        }
    }
    return true;
}

/* -- Strings, numbers, words -- */

/* Read the four hexadecimal digits at @at. */
static bool read_hex(const struct scanner *scanner, size_t at, uint32_t *ret_code)
{
    ASSERT(ret_code);

    uint32_t code = 0;
    for (size_t digit = at; digit < at + ESCAPE_DIGITS; digit++) {
        uint8_t sign = digit < scanner->count ? scanner->data[digit] : 0;
        uint8_t lower = (uint8_t)(sign | BLANK);
        if (sign >= '0' && sign <= '9') {
            code = code << HEX_BITS | (uint32_t)(sign - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            code = code << HEX_BITS | (uint32_t)(lower - 'a' + HEX_TEN);
        } else {
            return false;
        }
    }
    *ret_code = code;
    return true;
}

/* Go over the escape \uXXXX at the scanner, or the two of a pair. */
static bool take_code(struct scanner *scanner)
{
    ASSERT(scanner->data[scanner->at] == '\\');

    uint32_t code = 0;
    if (!read_hex(scanner, scanner->at + 2, &code)) {
        return refuse(scanner, scanner->at, "an escape \\u without four hexadecimal digits");
    }
    if (code == 0) {
        return refuse(scanner, scanner->at, "the escape \\u0000; allowed: text without zero bytes");
    }
    size_t bytes = ESCAPE_BYTES;
    if (code >= SURROGATE_FIRST && code <= SURROGATE_LAST) {
        size_t next = scanner->at + ESCAPE_BYTES;
        uint32_t low = 0;
        bool is_pair = code < SURROGATE_LOW && next + 1 < scanner->count &&
                       scanner->data[next] == '\\' && scanner->data[next + 1] == 'u' &&
                       read_hex(scanner, next + 2, &low) && low >= SURROGATE_LOW &&
                       low <= SURROGATE_LAST;
        if (!is_pair) {
            return refuse(scanner, scanner->at, "half of a surrogate pair; allowed: both halves");
        }
        bytes += ESCAPE_BYTES;
    }
    scanner->at += bytes;
    return true;
}

/* Go over the escape at the scanner. */
static bool take_escape(struct scanner *scanner)
{
    ASSERT(scanner->data[scanner->at] == '\\');

    uint8_t sign = scanner->at + 1 < scanner->count ? scanner->data[scanner->at + 1] : 0;
    if (sign == 'u') {
        return take_code(scanner);
    }
    if (sign == 0 || !memchr("\"\\/bfnrt", sign, sizeof "\"\\/bfnrt" - 1)) {
        return refuse(scanner, scanner->at,
                      "an unknown escape; allowed: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
    }
    scanner->at += 2;
    return true;
}

/* Go over the string at the scanner. @ret_source is it with its quotes. */
static bool take_string(struct scanner *scanner, struct bytes *ret_source)
{
    size_t first = scanner->at;
    ASSERT(scanner->data[first] == '"');

    (void)spot_of(scanner, first);
    scanner->at++;
    while (scanner->at < scanner->count) {
        uint8_t sign = scanner->data[scanner->at];
        if (sign == '"') {
            scanner->at++;
            *ret_source = (struct bytes){scanner->data + first, scanner->at - first};
            return true;
        }
        if (sign == '\n') {
            return refuse(scanner, first, "a string without its closing quote on the same line");
        }
        if (sign < BLANK) {
            return refuse(scanner, scanner->at, "a control character in a string; write \\uXXXX");
        }
        if (sign != '\\') {
            scanner->at++;
        } else if (!take_escape(scanner)) {
            return false;
        }
    }
    return refuse(scanner, first, "a string without its closing quote on the same line");
}

/* Count the digits of @word from @at on. */
static size_t digits_at(struct bytes word, size_t at)
{
    ASSERT(at <= word.count);

    size_t end = at;
    while (end < word.count && word.data[end] >= '0' && word.data[end] <= '9') {
        end++;
    }
    return end - at;
}

/* Return whether @word is a number of JSON. */
static bool is_number(struct bytes word)
{
    ASSERT(word.count > 0);

    size_t at = word.data[0] == '-' ? 1 : 0;
    size_t digits = digits_at(word, at);
    if (digits == 0 || (digits > 1 && word.data[at] == '0')) {
        return false;
    }
    at += digits;
    if (at < word.count && word.data[at] == '.') {
        digits = digits_at(word, at + 1);
        if (digits == 0) {
            return false;
        }
        at += 1 + digits;
    }
    if (at < word.count && (word.data[at] | BLANK) == 'e') {
        at++;
        at += at < word.count && (word.data[at] == '+' || word.data[at] == '-') ? 1 : 0;
        digits = digits_at(word, at);
        if (digits == 0) {
            return false;
        }
        at += digits;
    }
    return at == word.count;
}

/* Go over the number or the word at the scanner. */
static bool take_word(struct scanner *scanner, struct config_place *place)
{
    static const struct {
        const char *word;
        enum config_kind kind;
    } words[] = {{"true", CONFIG_KIND_TRUE},
                 {"false", CONFIG_KIND_FALSE},
                 {"null", CONFIG_KIND_NULL}};
    struct bytes word = word_here(scanner);
    ASSERT(word.count > 0);

    bool is_known = is_number(word);
    place->kind = CONFIG_KIND_NUMBER;
    for (size_t index = 0; index < sizeof words / sizeof *words; index++) {
        if (bytes_equal(word, bytes_of_text(words[index].word))) {
            place->kind = words[index].kind;
            is_known = true;
        }
    }
    if (!is_known) {
        return refuse_here(scanner, "a value: \"text\", 16, true, false, {...} or [...]");
    }
    if (word.count > CONFIG_NUMBER_BYTES_MAX) {
        return refuse(scanner, scanner->at, "a number of too many digits; allowed: 32 at most");
    }
    place->source = word;
    scanner->at += word.count;
    return true;
}

/* -- The machine -- */

/* Note a value that begins at the scanner, and go over it, or into it. */
static bool take_value(struct scanner *scanner)
{
    struct config_scan *out = scanner->out;
    ASSERT(scanner->at < scanner->count);

    if (out->place_count == CONFIG_VALUES_MAX) {
        return refuse(scanner, scanner->at, "too many values; allowed: 1024 in a file");
    }
    struct config_place *place = &out->places[out->place_count];
    *place = (struct config_place){.key = scanner->key_spot,
                                   .value = spot_of(scanner, scanner->at),
                                   .source = {scanner->data + scanner->at, 1},
                                   .end = out->place_count + 1};
    scanner->key_spot = (struct config_spot){0};
    uint8_t sign = scanner->data[scanner->at];
    scanner->expected = EXPECT_AFTER;
    bool is_taken = true;
    if (sign == '{' || sign == '[') {
        if (scanner->depth == CONFIG_DEPTH_MAX) {
            return refuse(scanner, scanner->at, "nested too deep; allowed: 8 levels");
        }
        place->kind = sign == '{' ? CONFIG_KIND_OBJECT : CONFIG_KIND_LIST;
        scanner->expected = sign == '{' ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
        scanner->open[scanner->depth++] = out->place_count;
        scanner->at++;
    } else if (sign == '"') {
        place->kind = CONFIG_KIND_STRING;
        is_taken = take_string(scanner, &place->source);
    } else {
        is_taken = take_word(scanner, place);
    }
    out->place_count += is_taken ? 1 : 0;
    return is_taken;
}

static bool take_key(struct scanner *scanner)
{
    if (scanner->at == scanner->count || scanner->data[scanner->at] != '"') {
        return refuse_here(scanner, "a key in double quotes");
    }
    struct bytes source = {0};
    struct config_spot spot = spot_of(scanner, scanner->at);
    if (!take_string(scanner, &source) || !skip_blanks(scanner)) {
        return false;
    }
    ASSERT(source.count >= 2);
    if (scanner->at == scanner->count || scanner->data[scanner->at] != ':') {
        return refuse_here(scanner, "':' behind the key");
    }
    scanner->at++;
    scanner->key_spot = spot;
    scanner->expected = EXPECT_VALUE;
    return true;
}

/* Return whether the scanner stands at the end of what is open, and go over it. */
static bool take_end(struct scanner *scanner)
{
    struct config_scan *out = scanner->out;
    ASSERT(scanner->depth <= CONFIG_DEPTH_MAX);

    if (scanner->depth == 0 || scanner->at == scanner->count) {
        return false;
    }
    struct config_place *place = &out->places[scanner->open[scanner->depth - 1]];
    if (scanner->data[scanner->at] != (place->kind == CONFIG_KIND_OBJECT ? '}' : ']')) {
        return false;
    }
    place->end = out->place_count;
    scanner->depth--;
    scanner->at++;
    scanner->expected = EXPECT_AFTER;
    return true;
}

/* Go over what stands behind a value, while something is open. */
static bool take_after(struct scanner *scanner)
{
    ASSERT(scanner->depth > 0);

    if (take_end(scanner)) {
        return true;
    }
    const struct config_place *open = &scanner->out->places[scanner->open[scanner->depth - 1]];
    bool is_object = open->kind == CONFIG_KIND_OBJECT;
    if (scanner->at == scanner->count || scanner->data[scanner->at] != ',') {
        return refuse_here(scanner, is_object ? "',' or '}'" : "',' or ']'");
    }
    scanner->at++;
    if (!skip_blanks(scanner)) {
        return false;
    }
    bool is_end = scanner->at < scanner->count &&
                  (scanner->data[scanner->at] == '}' || scanner->data[scanner->at] == ']');
    if (is_end) {
        return refuse(scanner, scanner->at, "a comma before the end; leave it out");
    }
    scanner->expected = is_object ? EXPECT_KEY : EXPECT_VALUE;
    return true;
}

/* Take one step from the sign at the scanner. */
static bool step(struct scanner *scanner)
{
    switch (scanner->expected) {
    case EXPECT_FIRST_KEY:
        return take_end(scanner) || take_key(scanner);
    case EXPECT_KEY:
        return take_key(scanner);
    case EXPECT_FIRST_VALUE:
        if (take_end(scanner)) {
            return true;
        }
        break;
    case EXPECT_AFTER:
        return take_after(scanner);
    case EXPECT_VALUE:
        break;
    }
    if (scanner->at == scanner->count) {
        return refuse_here(scanner, "a value");
    }
    ASSERT(scanner->at < scanner->count);
    return take_value(scanner);
}

static bool scan_all(struct scanner *scanner)
{
    if (!check_bytes(scanner)) {
        return false;
    }
    scanner->spot_at = 0;
    scanner->spot = (struct config_spot){.line = 1, .column = 1};
    if (!skip_blanks(scanner)) {
        return false;
    }
    if (scanner->at == scanner->count) {
        return refuse(scanner, scanner->at, "the file is empty; allowed: one object, {...}");
    }
    do {
        if (!step(scanner) || !skip_blanks(scanner)) {
            return false;
        }
    } while (scanner->depth > 0 || scanner->expected != EXPECT_AFTER);
    if (scanner->at < scanner->count) {
        return refuse_here(scanner, "nothing behind the first value");
    }
    ASSERT(scanner->out->place_count > 0);
    return true;
}

bool config_scan(struct bytes input,
                 struct config_scan *scan,
                 struct config_spot *ret_spot,
                 struct text *ret_problem)
{
    ASSERT_STATIC(CONFIG_FILE_BYTES_MAX == 65536, "as the problem's sentence has it");
    ASSERT_STATIC(CONFIG_VALUES_MAX == 1024, "as the problem's sentence has it");
    ASSERT_STATIC(CONFIG_DEPTH_MAX == 8, "as the problem's sentence has it");
    ASSERT_STATIC(CONFIG_NUMBER_BYTES_MAX == 32, "as the problem's sentence has it");
    ASSERT(input.data || input.count == 0);
    ASSERT(ret_problem->count == 0);

    struct scanner scanner = {.out = scan,
                              .data = (const uint8_t *)scan->plain,
                              .spot = {.line = 1, .column = 1},
                              .expected = EXPECT_VALUE,
                              .problem = ret_problem};
    scan->place_count = 0;
    scan->plain_count = 0;
    scan->plain[0] = '\0';
    *ret_spot = scanner.spot;
    if (input.count > CONFIG_FILE_BYTES_MAX) {
        text_put(ret_problem, "the file is too large; allowed: 65536 bytes");
        return false;
    }
    if (input.count > 0) {
        memcpy(scan->plain, input.data, input.count);
    }
    scan->plain[input.count] = '\0';
    scan->plain_count = input.count;
    scanner.count = input.count;
    bool is_sound = scan_all(&scanner);
    *ret_spot = scanner.spot;
    return is_sound;
}
