/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ini.h>

#include "config-reader.h"
#include "macro.h"
#include "text.h"

#define BLANKS " \t\r" /* a carriage return is what Windows puts before each line feed */

/* inih takes a colon for an equals sign and, depending on how it was built, " ;" or " #" inside of
 * a value for the beginning of a comment. Neither is so here: on its way through inih each of them
 * is a control character, which no line may hold of itself. */
static const char special[] = ":;#";
static const char veiled[] = "\x01\x02\x03";

typedef struct Reader {
        const char *file;
        const char *next; /* of the text, what was not read yet */
        const char *end;
        unsigned line; /* the number of the one that inih has */
        const char *const *sections;
        const char *section; /* of SECTIONS; NULL: the keys that follow cannot be used */
        bool in_section;     /* a section has begun, known or not */
        config_reader_handler_t handler;
        void *userdata;
        ConfigProblems *problems;
        int error;
} Reader;

#define refuse(reader, ...)                                                                    \
        config_problems_add((reader)->problems, (reader)->file, (reader)->line, PROBLEM_ERROR, \
                            __VA_ARGS__)

static void translate(char *s, const char *from, const char *to)
{
        for (; *s; s++) {
                const char *p = strchr(from, *s);

                if (p)
                        *s = to[p - from];
        }
}

/* The next line in *ret, without the blanks around it. */
static bool next_line(Reader *reader, const char **ret, size_t *ret_size)
{
        const char *begin = reader->next, *end;

        if (begin >= reader->end)
                return false;
        end = memchr(begin, '\n', (size_t)(reader->end - begin));
        if (!end)
                end = reader->end;
        reader->next = end < reader->end ? end + 1 : end;
        reader->line++;

        while (begin < end && strchr(BLANKS, *begin))
                begin++;
        while (begin < end && strchr(BLANKS, end[-1]))
                end--;
        *ret = begin;
        *ret_size = (size_t)(end - begin);
        return true;
}

static bool is_control(char c)
{
        return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* A control character may hide the rest of a line, so not even a comment may hold one. */
static int check_controls(Reader *reader, const char *line, size_t size, bool *ret_good)
{
        for (size_t i = 0; i < size; i++)
                if (is_control(line[i])) {
                        *ret_good = false;
                        return refuse(reader,
                                      "the line holds the control character \\x%02x; "
                                      "remove it",
                                      (unsigned char)line[i]);
                }
        *ret_good = true;
        return 0;
}

static int check_encoding(Reader *reader, const char *line, size_t size, bool *ret_good)
{
        size_t n = 0;

        *ret_good = true;
        while (n < size) {
                n += text_valid_length(line + n, size - n);
                if (n < size && line[n] != '\t') {
                        *ret_good = false;
                        return refuse(reader,
                                      "the line holds the byte \\x%02x, which is not UTF-8 text; "
                                      "save the file as UTF-8, or write a label's byte as \\xNN",
                                      (unsigned char)line[n]);
                }
                n += n < size;
        }
        return 0;
}

static bool section_equals(const char *section, const char *name, size_t size)
{
        return strlen(section) == size && memcmp(section, name, size) == 0;
}

static int refuse_section(Reader *reader, const char *name)
{
        const char *nearest = text_nearest(name, reader->sections);
        _cleanup_free_ char *known = strdup("");

        if (nearest)
                return refuse(reader, "unknown section [%s]; did you mean [%s]?", name, nearest);
        for (const char *const *s = reader->sections; known && *s; s++) {
                char *longer = text_format("%s%s[%s]", known, *known ? ", " : "", *s);

                free(known);
                known = longer;
        }
        return known ? refuse(reader, "unknown section [%s]; there are %s", name, known) : -ENOMEM;
}

/* A line that begins with a bracket. */
static int enter_section(Reader *reader, const char *line, size_t size)
{
        _cleanup_free_ char *name = NULL;

        if (memchr(line, ']', size) != line + size - 1)
                return refuse(reader, "the section's name does not end with the line; write it as "
                                      "[NAME], with nothing behind it");
        for (const char *const *s = reader->sections; *s; s++)
                if (section_equals(*s, line + 1, size - 2)) {
                        reader->section = *s;
                        return 0;
                }
        name = strndup(line + 1, size - 2);
        return name ? refuse_section(reader, name) : -ENOMEM;
}

/* A line that must be KEY=VALUE. */
static int check_assignment(Reader *reader, const char *line, size_t size, bool *ret_good)
{
        const char *equals = memchr(line, '=', size);

        *ret_good = false;
        if (!equals)
                return refuse(reader,
                              "'%.*s' is neither KEY=VALUE nor [SECTION]; a comment begins "
                              "with #",
                              (int)size, line);
        if (equals == line)
                return refuse(reader, "there is no key before the '='; write KEY=VALUE");
        if (!reader->in_section)
                return refuse(reader, "'%.*s' stands before the first section; write [%s] above it",
                              (int)size, line, reader->sections[0]);
        *ret_good = reader->section; /* else the section was refused, and that is enough */
        return 0;
}

/* Whether inih is to see the line; it sees none that could surprise it. */
static int check_line(Reader *reader, const char *line, size_t size, size_t max, bool *ret_good)
{
        int r;

        if (size > 0 && line[0] == '[') { /* whatever is wrong with it, the old one has ended */
                reader->in_section = true;
                reader->section = NULL;
        }
        r = check_controls(reader, line, size, ret_good);
        if (r < 0 || !*ret_good)
                return r;
        *ret_good = false;
        if (size == 0 || line[0] == '#' || line[0] == ';')
                return 0;
        if (size > max)
                return refuse(reader, "the line is %zu bytes long; shorten it to at most %zu", size,
                              max);
        r = check_encoding(reader, line, size, ret_good);
        if (r < 0 || !*ret_good)
                return r;
        if (line[0] != '[')
                return check_assignment(reader, line, size, ret_good);
        r = enter_section(reader, line, size);
        *ret_good = reader->section;
        return r;
}

/* As inih wants it: like fgets(). */
static char *read_line(char *buffer, int room, void *userdata)
{
        Reader *reader = userdata;
        size_t max = (size_t)room - strlen("\n") - 1;
        const char *line;
        size_t size;

        while (reader->error >= 0 && next_line(reader, &line, &size)) {
                bool good = false;

                reader->error = check_line(reader, line, size, max, &good);
                if (reader->error < 0 || !good)
                        continue;
                memcpy(buffer, line, size);
                buffer[size] = '\0';
                translate(buffer, special, veiled);
                memcpy(buffer + size, "\n", 2);
                return buffer;
        }
        return NULL;
}

static int handle(void *userdata, const char *section, const char *key, const char *value)
{
        Reader *reader = userdata;
        _cleanup_free_ char *k = NULL, *v = NULL;

        (void)section; /* read_line() has noted it */
        if (reader->error < 0 || !key)
                return 1;
        k = strdup(key);
        v = strdup(value);
        if (!k || !v) {
                reader->error = -ENOMEM;
                return 1;
        }
        translate(k, veiled, special);
        translate(v, veiled, special);
        reader->error = reader->handler(
                &(ConfigAssignment){
                        .file = reader->file,
                        .line = reader->line,
                        .section = reader->section,
                        .key = k,
                        .value = v,
                        .problems = reader->problems,
                },
                reader->userdata);
        return 1;
}

static bool begins_with(const char *text, size_t size, const char *mark)
{
        return size >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0;
}

/* Whether it is text that has lines at all. */
static int check_text(Reader *reader, const char *text, size_t size)
{
        int r;

        if (begins_with(text, size, "\xff\xfe") || begins_with(text, size, "\xfe\xff"))
                r = refuse(reader, "the file was saved as UTF-16; save it as UTF-8");
        else if (memchr(text, '\0', size))
                r = refuse(reader,
                           "the file holds NUL bytes, as text saved as UTF-16 does; save it "
                           "as UTF-8");
        else
                return 0;
        return r < 0 ? r : -EINVAL;
}

int config_reader_run(const char *file, const char *text, size_t size, const char *const *sections,
                      config_reader_handler_t handler, void *userdata, ConfigProblems *problems)
{
        Reader reader = {
                .file = file,
                .next = text,
                .end = text + size,
                .sections = sections,
                .handler = handler,
                .userdata = userdata,
                .problems = problems,
        };
        int r;

        r = check_text(&reader, text, size);
        if (r < 0)
                return r;
        if (begins_with(text, size, "\xef\xbb\xbf")) /* byte order mark */
                reader.next += strlen("\xef\xbb\xbf");

        /* It counts the lines that it was given, so its line number is of no use. */
        if (ini_parse_stream(read_line, &reader, handle, &reader) == -2)
                return -ENOMEM;
        return reader.error;
}
