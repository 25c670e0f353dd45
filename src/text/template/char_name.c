/*
 * char_name: see the header. Names are GNU libunistring's, but for four things in which it and Python differ:
 * control characters, which have aliases only; Hangul syllables and unified ideographs, whose names Python takes
 * in capitals only (libunistring has none of the latter, and not all of the former); what it lets pass behind
 * the number of a variation selector.
 */
#include "text/template/char_name.h"

#include <string.h>

#include <unictype.h>
#include <uniname.h>

static const struct control {
    uint32_t c;
    const char *names;
} CONTROLS[] = {
    {0x00, "NULL|NUL"},
    {0x01, "START OF HEADING|SOH"},
    {0x02, "START OF TEXT|STX"},
    {0x03, "END OF TEXT|ETX"},
    {0x04, "END OF TRANSMISSION|EOT"},
    {0x05, "ENQUIRY|ENQ"},
    {0x06, "ACKNOWLEDGE|ACK"},
    {0x07, "ALERT|BEL"},
    {0x08, "BACKSPACE|BS"},
    {0x09, "CHARACTER TABULATION|HORIZONTAL TABULATION|HT|TAB"},
    {0x0a, "LINE FEED|NEW LINE|END OF LINE|LF|NL|EOL"},
    {0x0b, "LINE TABULATION|VERTICAL TABULATION|VT"},
    {0x0c, "FORM FEED|FF"},
    {0x0d, "CARRIAGE RETURN|CR"},
    {0x0e, "SHIFT OUT|LOCKING-SHIFT ONE|SO"},
    {0x0f, "SHIFT IN|LOCKING-SHIFT ZERO|SI"},
    {0x10, "DATA LINK ESCAPE|DLE"},
    {0x11, "DEVICE CONTROL ONE|DC1"},
    {0x12, "DEVICE CONTROL TWO|DC2"},
    {0x13, "DEVICE CONTROL THREE|DC3"},
    {0x14, "DEVICE CONTROL FOUR|DC4"},
    {0x15, "NEGATIVE ACKNOWLEDGE|NAK"},
    {0x16, "SYNCHRONOUS IDLE|SYN"},
    {0x17, "END OF TRANSMISSION BLOCK|ETB"},
    {0x18, "CANCEL|CAN"},
    {0x19, "END OF MEDIUM|EOM"},
    {0x1a, "SUBSTITUTE|SUB"},
    {0x1b, "ESCAPE|ESC"},
    {0x1c, "INFORMATION SEPARATOR FOUR|FILE SEPARATOR|FS"},
    {0x1d, "INFORMATION SEPARATOR THREE|GROUP SEPARATOR|GS"},
    {0x1e, "INFORMATION SEPARATOR TWO|RECORD SEPARATOR|RS"},
    {0x1f, "INFORMATION SEPARATOR ONE|UNIT SEPARATOR|US"},
    {0x7f, "DELETE|DEL"},
    {0x80, "PADDING CHARACTER|PAD"},
    {0x81, "HIGH OCTET PRESET|HOP"},
    {0x82, "BREAK PERMITTED HERE|BPH"},
    {0x83, "NO BREAK HERE|NBH"},
    {0x84, "INDEX|IND"},
    {0x85, "NEXT LINE|NEL"},
    {0x86, "START OF SELECTED AREA|SSA"},
    {0x87, "END OF SELECTED AREA|ESA"},
    {0x88, "CHARACTER TABULATION SET|HORIZONTAL TABULATION SET|HTS"},
    {0x89, "CHARACTER TABULATION WITH JUSTIFICATION|HORIZONTAL TABULATION WITH JUSTIFICATION|HTJ"},
    {0x8a, "LINE TABULATION SET|VERTICAL TABULATION SET|VTS"},
    {0x8b, "PARTIAL LINE FORWARD|PARTIAL LINE DOWN|PLD"},
    {0x8c, "PARTIAL LINE BACKWARD|PARTIAL LINE UP|PLU"},
    {0x8d, "REVERSE LINE FEED|REVERSE INDEX|RI"},
    {0x8e, "SINGLE SHIFT TWO|SINGLE-SHIFT-2|SS2"},
    {0x8f, "SINGLE SHIFT THREE|SINGLE-SHIFT-3|SS3"},
    {0x90, "DEVICE CONTROL STRING|DCS"},
    {0x91, "PRIVATE USE ONE|PRIVATE USE-1|PU1"},
    {0x92, "PRIVATE USE TWO|PRIVATE USE-2|PU2"},
    {0x93, "SET TRANSMIT STATE|STS"},
    {0x94, "CANCEL CHARACTER|CCH"},
    {0x95, "MESSAGE WAITING|MW"},
    {0x96, "START OF GUARDED AREA|START OF PROTECTED AREA|SPA"},
    {0x97, "END OF GUARDED AREA|END OF PROTECTED AREA|EPA"},
    {0x98, "START OF STRING|SOS"},
    {0x99, "SINGLE GRAPHIC CHARACTER INTRODUCER|SGC"},
    {0x9a, "SINGLE CHARACTER INTRODUCER|SCI"},
    {0x9b, "CONTROL SEQUENCE INTRODUCER|CSI"},
    {0x9c, "STRING TERMINATOR|ST"},
    {0x9d, "OPERATING SYSTEM COMMAND|OSC"},
    {0x9e, "PRIVACY MESSAGE|PM"},
    {0x9f, "APPLICATION PROGRAM COMMAND|APC"},
};
#define N_CONTROLS (sizeof CONTROLS / sizeof *CONTROLS)

static char capital(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool same(const char *a, const char *b, size_t n)
{
    size_t i = 0;

    while (i < n && capital(a[i]) == capital(b[i]))
        i++;
    return i == n;
}

static bool control_by_name(uint32_t *c, const char *name, size_t len)
{
    for (size_t i = 0; i < N_CONTROLS; i++) {
        const char *p = CONTROLS[i].names;

        while (*p) {
            size_t n = strcspn(p, "|");

            if (n == len && same(p, name, n)) {
                *c = CONTROLS[i].c;
                return true;
            }
            p += n + (p[n] == '|');
        }
    }
    return false;
}

/* ------------------------------------------------------------------ Hangul syllables */

#define SYLLABLE_BASE 0xac00
#define N_INITIALS 19
#define N_VOWELS 21
#define N_FINALS 28
#define SYLLABLE_END (SYLLABLE_BASE + N_INITIALS * N_VOWELS * N_FINALS)

static const char *const INITIALS[N_INITIALS] = {
    "G",  "GG", "N", "D",  "DD", "R", "M", "B", "BB", "S",
    "SS", "",   "J", "JJ", "C",  "K", "T", "P", "H",
};
static const char *const VOWELS[N_VOWELS] = {
    "A",  "AE", "YA", "YAE", "EO", "E",  "YEO", "YE", "O",  "WA", "WAE",
    "OE", "YO", "U",  "WEO", "WE", "WI", "YU",  "EU", "YI", "I",
};
static const char *const FINALS[N_FINALS] = {
    "",   "G",  "GG", "GS", "N",  "NJ", "NH", "D",  "L", "LG", "LM", "LB", "LS", "LT",
    "LP", "LH", "M",  "B",  "BS", "S",  "SS", "NG", "J", "C",  "K",  "T",  "P",  "H",
};

/* The longest of `parts` that the name goes on with; n: none. */
static size_t part(const char **name, const char *const *parts, size_t n)
{
    size_t longest = 0;
    size_t found = n;

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(parts[i]);

        if (strncmp(*name, parts[i], len) == 0 && (found == n || len > longest)) {
            longest = len;
            found = i;
        }
    }
    *name += longest;
    return found;
}

static bool syllable(uint32_t *c, const char *name)
{
    size_t initial = part(&name, INITIALS, N_INITIALS);
    size_t vowel = part(&name, VOWELS, N_VOWELS);
    size_t final = part(&name, FINALS, N_FINALS);

    *c = (uint32_t)(SYLLABLE_BASE + (initial * N_VOWELS + vowel) * N_FINALS + final);
    return initial < N_INITIALS && vowel < N_VOWELS && final < N_FINALS && !*name;
}

/* ------------------------------------------------------------------ the others */

/* Four or five digits, a leading zero too. The few unified ones among the compatibility ideographs have other names. */
static bool ideograph(uint32_t *c, const char *name)
{
    static const char DIGITS[] = "0123456789ABCDEF";
    size_t len = strlen(name);

    if (len != 4 && len != 5)
        return false;
    for (*c = 0; *name; name++) {
        const char *digit = strchr(DIGITS, *name);

        if (!digit)
            return false;
        *c = *c << 4 | (uint32_t)(digit - DIGITS);
    }
    return (*c < 0xf900 || *c > 0xfaff) && uc_is_property_unified_ideograph(*c);
}

/* libunistring has the syllables in small letters too, and "VARIATION SELECTOR-1X" is 10 to it. */
static bool library_name(uint32_t *c, const char *name)
{
    static const char SELECTOR[] = "VARIATION SELECTOR-";
    char own[UNINAME_MAX];

    *c = unicode_name_character(name);
    if (*c == UNINAME_INVALID || (*c >= SYLLABLE_BASE && *c < SYLLABLE_END))
        return false;
    return strlen(name) < sizeof SELECTOR || !same(name, SELECTOR, sizeof SELECTOR - 1) ||
           (unicode_character_name(*c, own) && strlen(own) == strlen(name) &&
            same(own, name, strlen(name)));
}

static const char *behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

bool char_by_name(uint32_t *c, const char *name, size_t len)
{
    char copy[UNINAME_MAX];
    const char *rest;

    if (len >= sizeof copy || memchr(name, 0, len))
        return false;
    memcpy(copy, name, len);
    copy[len] = 0;
    rest = behind(copy, "HANGUL SYLLABLE ");
    if (rest)
        return syllable(c, rest);
    rest = behind(copy, "CJK UNIFIED IDEOGRAPH-");
    if (rest)
        return ideograph(c, rest);
    return control_by_name(c, copy, len) || library_name(c, copy);
}
