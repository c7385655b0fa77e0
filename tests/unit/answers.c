/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "answers.h"
#include "macro.h"
#include "test.h"
#include "text.h"

/* TEXT grows by what FORMAT says. */
__attribute__((format(printf, 2, 3))) static void append(char **text, const char *format, ...)
{
        _cleanup_free_ char *more = NULL;
        char *joined;
        va_list ap;

        va_start(ap, format);
        ASSERT(vasprintf(&more, format, ap) >= 0);
        va_end(ap);
        joined = text_format("%s%s", *text, more);
        ASSERT(joined);
        free(*text);
        *text = joined;
}

static void append_basic(sd_bus_message *m, char type, char **text)
{
        union {
                const char *s;
                uint64_t t;
                uint32_t u;
                int32_t i;
                int b;
        } value;

        ASSERT(sd_bus_message_read_basic(m, type, &value) > 0);
        switch (type) {
        case 's':
                append(text, " %s", value.s);
                break;
        case 't':
                append(text, " %" PRIu64, value.t);
                break;
        case 'u':
                append(text, " %" PRIu32, value.u);
                break;
        case 'i':
                append(text, " %" PRIi32, value.i);
                break;
        case 'b':
                append(text, " %s", value.b ? "true" : "false");
                break;
        default:
                test_fail(__FILE__, __LINE__, "type %c is unheard of", type);
        }
}

static void append_array(sd_bus_message *m, const char *type, char **text)
{
        ASSERT(sd_bus_message_enter_container(m, 'a', type) > 0);
        while (!sd_bus_message_at_end(m, false)) {
                append(text, " [");
                if (streq(type, "(us)")) {
                        ASSERT(sd_bus_message_enter_container(m, 'r', "us") > 0);
                        append_basic(m, 'u', text);
                        append_basic(m, 's', text);
                        ASSERT(sd_bus_message_exit_container(m) >= 0);
                } else
                        append_basic(m, 's', text);
                append(text, " ]");
        }
        ASSERT(sd_bus_message_exit_container(m) >= 0);
}

static void append_entry(sd_bus_message *m, char **text)
{
        const char *key, *type;

        ASSERT(sd_bus_message_enter_container(m, 'e', "sv") > 0);
        ASSERT(sd_bus_message_read(m, "s", &key) > 0);
        ASSERT(sd_bus_message_peek_type(m, NULL, &type) > 0);
        ASSERT(sd_bus_message_enter_container(m, 'v', type) > 0);
        append(text, "%s %s", key, type);
        if (type[0] == 'a')
                append_array(m, type + 1, text);
        else
                append_basic(m, type[0], text);
        append(text, "\n");
        ASSERT(sd_bus_message_exit_container(m) >= 0);
        ASSERT(sd_bus_message_exit_container(m) >= 0);
}

char *answer_to_text(sd_bus_message *m)
{
        char *text = strdup("");

        ASSERT(text);
        ASSERT_STR(sd_bus_message_get_signature(m, true), "a{sv}");
        ASSERT(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (!sd_bus_message_at_end(m, false))
                append_entry(m, &text);
        ASSERT(sd_bus_message_exit_container(m) >= 0);
        return text;
}

char *answer_of_call(int r, const sd_bus_error *error, sd_bus_message *reply)
{
        if (r >= 0)
                return answer_to_text(reply);
        return text_format("error %s: %s\n", error->name ? error->name : strerror(-r),
                           error->message ? error->message : "");
}
