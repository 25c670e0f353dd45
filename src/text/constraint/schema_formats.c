/*
 * schema_formats: see the header.
 */
#include "text/constraint/schema_formats.h"

#include <string.h>

/* February has 29 days in leap years; whatever ends in 00 is one only by 400. The year 0000 is none for
 * many readers. */
#define MONTHS                                                                                     \
    "(\\d{4}-(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|\\d{4}-(0[469]|11)-(0[1-9]|[12]\\d|30)|"      \
    "\\d{4}-02-(0[1-9]|1\\d|2[0-8])|"                                                              \
    "(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
#define TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"

#define HEX(n) "[0-9a-fA-F]{" #n "}"
#define UUID "^" HEX(8) "-" HEX(4) "-" HEX(4) "-" HEX(4) "-" HEX(12) "$"

/* 61 characters at most, without two hyphens in a row. */
#define LABEL "[A-Za-z0-9](-?[A-Za-z0-9]){0,30}"
#define HOST LABEL "(\\." LABEL "){0,3}"
#define WORD "[A-Za-z0-9_+%-]{1,20}"
#define EMAIL "^" WORD "(\\." WORD "){0,2}@" LABEL "(\\." LABEL "){0,2}\\.[A-Za-z]{2,24}$"

#define OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4 OCTET "\\." OCTET "\\." OCTET "\\." OCTET
#define H "[0-9a-fA-F]{1,4}"
#define IPV6                                                                                       \
    "(" H ":){7}" H "|(" H ":){1,7}:|(" H ":){1,6}:" H "|(" H ":){1,5}(:" H "){1,2}|(" H           \
    ":){1,4}(:" H "){1,3}|(" H ":){1,3}(:" H "){1,4}|(" H ":){1,2}(:" H "){1,5}|" H ":(:" H        \
    "){1,6}|:((:" H "){1,7}|:)|::(ffff:)?" IPV4 "|(" H ":){6}" IPV4

#define PCHAR "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define AUTHORITY "[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\\d{1,5})?"
#define URI                                                                                        \
    "^[A-Za-z][A-Za-z0-9+.-]*:(//" AUTHORITY "(/" PCHAR "*)*|/?" PCHAR "+(/" PCHAR                 \
    "*)*)(\\?(" PCHAR "|[/?])*)?(#(" PCHAR "|[/?])*)?$"

#define BASE64 "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})?$"

#define TIME_PART "(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S)"
#define DATE_PART "(\\d{1,9}Y(\\d{1,9}M(\\d{1,9}D)?)?|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}D)"
#define DURATION "^P(" DATE_PART "(T" TIME_PART ")?|T" TIME_PART "|\\d{1,9}W)$"

static const struct schema_format formats[] = {
    {"date", "^" MONTHS "$", "^0000", NULL, NULL},
    {"time", "^" TIME "$", NULL, NULL, NULL},
    {"date-time", "^" MONTHS "T" TIME "$", "^0000", NULL, NULL},
    {"duration", DURATION, NULL, NULL, NULL},
    {"uuid", UUID, NULL, NULL, NULL},
    {"uuid1", UUID, NULL, NULL, NULL},
    {"uuid2", UUID, NULL, NULL, NULL},
    {"uuid3", UUID, NULL, NULL, NULL},
    {"uuid4", UUID, NULL, NULL, NULL},
    {"uuid5", UUID, NULL, NULL, NULL},
    {"email", EMAIL, NULL, NULL, NULL},
    {"idn-email", EMAIL, NULL, NULL, NULL},
    {"hostname", "^" HOST "$", NULL, NULL, NULL},
    {"idn-hostname", "^" HOST "$", NULL, NULL, NULL},
    {"ipv4", "^(" IPV4 ")$", NULL, NULL, NULL},
    {"ipv6", "^(" IPV6 ")$", NULL, NULL, NULL},
    {"uri", URI, NULL, NULL, NULL},
    {"uri-reference", URI, NULL, NULL, NULL},
    {"iri", URI, NULL, NULL, NULL},
    {"iri-reference", URI, NULL, NULL, NULL},
    {"json-pointer", "^(/([^~/]|~[01])*)*$", NULL, NULL, NULL},
    /* of OpenAPI, and of what makes schemas of types */
    {"int8", NULL, NULL, "-128", "127"},
    {"int16", NULL, NULL, "-32768", "32767"},
    {"uint8", NULL, NULL, "0", "255"},
    {"uint16", NULL, NULL, "0", "65535"},
    {"int", NULL, NULL, NULL, NULL},
    {"uint", NULL, NULL, "0", NULL},
    {"decimal", NULL, NULL, NULL, NULL},
    {"int32", NULL, NULL, "-2147483648", "2147483647"},
    {"int64", NULL, NULL, "-9223372036854775808", "9223372036854775807"},
    {"uint32", NULL, NULL, "0", "4294967295"},
    {"uint64", NULL, NULL, "0", NULL},
    {"float", NULL, NULL, NULL, NULL},
    {"double", NULL, NULL, NULL, NULL},
    {"password", NULL, NULL, NULL, NULL},
    {"binary", NULL, NULL, NULL, NULL},
    {"byte", BASE64, NULL, NULL, NULL},
    /* of pydantic */
    {"base64url", "^[A-Za-z0-9_-]*$", NULL, NULL, NULL},
    {"path", NULL, NULL, NULL, NULL},
    {"file-path", NULL, NULL, NULL, NULL},
    {"directory-path", NULL, NULL, NULL, NULL},
};

const struct schema_format *schema_format_of(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}
