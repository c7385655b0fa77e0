/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "missing.h"
#include "options.h"
#include "test.h"
#include "text.h"

#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static const struct {
        const char *words;
        uint64_t attributes;
        const char *string;  /* mount_options_to_string() */
        const char *ignored; /* each followed by a blank */
} good[] = {
        { NULL, SAFE, "rw,nosuid,nodev", "" },
        { "", SAFE, "rw,nosuid,nodev", "" },
        { "defaults", SAFE, "rw,nosuid,nodev", "" },
        { ",noatime,,", SAFE | MOUNT_ATTR_NOATIME, "rw,nosuid,nodev,noatime", "" },
        { "ro", SAFE | MOUNT_ATTR_RDONLY, "ro,nosuid,nodev", "" },
        { "ro,rw", SAFE, "rw,nosuid,nodev", "" },
        { "rw,ro", SAFE | MOUNT_ATTR_RDONLY, "ro,nosuid,nodev", "" },
        { "suid", MOUNT_ATTR_NODEV, "rw,nodev", "" },
        { "dev", MOUNT_ATTR_NOSUID, "rw,nosuid", "" },
        { "suid,dev", 0, "rw", "" },
        { "suid,nosuid", SAFE, "rw,nosuid,nodev", "" },
        { "noexec", SAFE | MOUNT_ATTR_NOEXEC, "rw,nosuid,nodev,noexec", "" },
        { "noexec,exec", SAFE, "rw,nosuid,nodev", "" },
        { "nosymfollow", SAFE | MOUNT_ATTR_NOSYMFOLLOW, "rw,nosuid,nodev,nosymfollow", "" },
        { "nosymfollow,symfollow", SAFE, "rw,nosuid,nodev", "" },
        { "nodiratime", SAFE | MOUNT_ATTR_NODIRATIME, "rw,nosuid,nodev,nodiratime", "" },
        { "nodiratime,diratime", SAFE, "rw,nosuid,nodev", "" },
        { "noatime,strictatime", SAFE | MOUNT_ATTR_STRICTATIME, "rw,nosuid,nodev,strictatime", "" },
        { "strictatime,noatime", SAFE | MOUNT_ATTR_NOATIME, "rw,nosuid,nodev,noatime", "" },
        { "strictatime,atime", SAFE | MOUNT_ATTR_STRICTATIME, "rw,nosuid,nodev,strictatime", "" },
        { "noatime,atime", SAFE, "rw,nosuid,nodev", "" },
        { "noatime,relatime", SAFE, "rw,nosuid,nodev", "" },
        { "strictatime,nostrictatime", SAFE, "rw,nosuid,nodev", "" },
        { "norelatime", SAFE, "rw,nosuid,nodev", "" },
        { "noatime,compress=zstd:3,lazytime,subvol=/@home,key=", SAFE | MOUNT_ATTR_NOATIME,
          "rw,nosuid,nodev,noatime,compress=zstd:3,lazytime,subvol=/@home,key=", "" },
        { "a=b=c,a=b", SAFE, "rw,nosuid,nodev,a=b=c,a=b", "" },
        { "iocharset=utf8,D\xc3\xa4,D\xe4", SAFE, "rw,nosuid,nodev,iocharset=utf8,D\xc3\xa4,D\xe4",
          "" },
        { "RO,Bind", SAFE, "rw,nosuid,nodev,RO,Bind", "" }, /* only the filesystem knows */
        { "nofail,noauto,users,user=me,_netdev,x-systemd.automount,X-anything=1,comment=x", SAFE,
          "rw,nosuid,nodev",
          "nofail noauto users user=me _netdev x-systemd.automount X-anything=1 comment=x " },
};

static void test_good(void)
{
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_(mount_options_freep) MountOptions *o = NULL;
                _cleanup_free_ char *error = NULL, *string = NULL, *ignored = strdup("");

                test_row(good[i].words);
                ASSERT_OK(mount_options_parse(good[i].words, &o, &error));
                ASSERT_STR(error, NULL);
                ASSERT_EQ(o->attr_set, good[i].attributes);
                ASSERT_EQ(o->read_only, !!(good[i].attributes & MOUNT_ATTR_RDONLY));
                string = mount_options_to_string(o);
                ASSERT_STR(string, good[i].string);
                for (char **word = o->ignored; word && *word; word++) {
                        char *longer = text_format("%s%s ", ignored, *word);

                        free(ignored);
                        ignored = longer;
                }
                ASSERT_STR(ignored, good[i].ignored);
        }
}

static void test_params(void)
{
        _cleanup_(mount_options_freep) MountOptions *o = NULL;
        _cleanup_free_ char *error = NULL;

        ASSERT_OK(mount_options_parse("sync,ro,subvol=a=b,empty=,lazytime", &o, &error));
        ASSERT_EQ(o->n_params, 4);
        ASSERT_STR(o->params[0].key, "sync");
        ASSERT_STR(o->params[0].value, NULL);
        ASSERT_STR(o->params[1].key, "subvol");
        ASSERT_STR(o->params[1].value, "a=b");
        ASSERT_STR(o->params[2].value, "");
        ASSERT_STR(o->params[3].key, "lazytime");
}

static void test_bad(void)
{
        static const char *const rows[][2] = {
                { "=x", "has nothing before" },
                { "noatime,=", "'='" },
                { "noatime, lazytime", "blank" },
                { "noatime lazytime", "blank" },
                { "a=b\tc", "blank" },
                { "a\\040b", "backslash" },
                { "a=\x01", "control character" },
                { "a=\x7f", "control character" },
                { "context=\"a,b\"", "quote" },
                { "ro=recursive", "takes no value" },
                { "noatime=1", "takes no value" },
                { "defaults=", "takes no value" },
                { "bind", "'bind' asks for a bind mount" },
                { "rbind", "bind mount" },
                { "ro,remount", "'remount'" },
                { "move", "'move'" },
                { "loop", "loop device" },
                { "loop=/dev/loop0", "'loop=/dev/loop0' asks for a loop device" },
                { "offset=512", "loop device" },
                { "sizelimit=512", "loop device" },
                { "source=/dev/sda", "[Match]" },
                { "shared", "propagation" },
                { "rshared", "propagation" },
                { "private", "propagation" },
                { "rprivate", "propagation" },
                { "slave", "propagation" },
                { "rslave", "propagation" },
                { "unbindable", "propagation" },
                { "runbindable", "propagation" },
                { "X-mount.mkdir", "asks mount(8)" },
                { "X-mount.idmap=u:1:2:3", "asks mount(8)" },
                { "helper=x", "helper" },
                { "uhelper=udisks2", "helper" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                MountOptions *o = NULL;
                _cleanup_free_ char *error = NULL;

                test_row(rows[i][0]);
                ASSERT_EQ(mount_options_parse(rows[i][0], &o, &error), -EINVAL);
                ASSERT(!o);
                ASSERT_CONTAINS(error, rows[i][1]);
                ASSERT_EQ(text_valid_length(error, strlen(error)), strlen(error));
        }
}

/* KEY bytes, an equals sign, VALUE bytes. */
static int parse_sized(size_t key, size_t value)
{
        _cleanup_(mount_options_freep) MountOptions *o = NULL;
        _cleanup_free_ char *words = malloc(key + value + 2), *error = NULL;

        memset(words, 'k', key);
        words[key] = '=';
        memset(words + key + 1, 'v', value);
        words[key + 1 + value] = '\0';
        return mount_options_parse(words, &o, &error);
}

static void test_limits(void)
{
        ASSERT_OK(parse_sized(1, 255));
        ASSERT_EQ(parse_sized(1, 256), -EINVAL);
        ASSERT_OK(parse_sized(255, 1));
        ASSERT_EQ(parse_sized(256, 1), -EINVAL);
        ASSERT_EQ(parse_sized(1000000, 1000000), -EINVAL);
}

static void test_read_only(void)
{
        _cleanup_(mount_options_freep) MountOptions *o = NULL;
        _cleanup_free_ char *error = NULL, *string = NULL;

        ASSERT_OK(mount_options_parse("rw", &o, &error));
        mount_options_set_read_only(o);
        ASSERT(o->read_only);
        ASSERT_EQ(o->attr_set, SAFE | MOUNT_ATTR_RDONLY);
        string = mount_options_to_string(o);
        ASSERT_STR(string, "ro,nosuid,nodev");
}

static void test_defaults(void)
{
        static const char *const rows[][3] = {
                { "ext4", "", "rw,nosuid,nodev,errors=remount-ro" },
                { "ext3", "data=ordered", "rw,nosuid,nodev,data=ordered,errors=remount-ro" },
                { "ext2", "", "rw,nosuid,nodev,errors=remount-ro" },
                { "ext4", "errors=continue", "rw,nosuid,nodev,errors=continue" },
                { "xfs", "", "rw,nosuid,nodev" },
                { "ext", "", "rw,nosuid,nodev" },
                { "", "", "rw,nosuid,nodev" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(mount_options_freep) MountOptions *o = NULL;
                _cleanup_free_ char *error = NULL, *string = NULL;

                test_row(rows[i][0]);
                ASSERT_OK(mount_options_parse(rows[i][1], &o, &error));
                ASSERT_OK(mount_options_add_defaults(o, rows[i][0]));
                ASSERT_OK(mount_options_add_defaults(o, rows[i][0]));
                string = mount_options_to_string(o);
                ASSERT_STR(string, rows[i][2]);
        }
}

static void test_missing(void)
{
        static const char *const rows[][3] = {
                { "noatime,ro", "rw,relatime", "" }, /* attributes are verified elsewhere */
                { "discard,commit=30", "rw,relatime,discard,commit=30", "" },
                { "discard,commit=30", "rw,relatime,commit=300", "discard commit=30 " },
                { "commit=30", "rw,xcommit=30", "commit=30 " },
                { "commit", "commit=30", "commit " },
                { "sync,lazytime", "rw,lazytime", "sync " },
                { "async,nolazytime,nomand", "rw", "" },
                { "async,nolazytime", "rw,sync,lazytime", "async nolazytime " },
                { "discard", "", "discard " },
                /* As btrfs shows them. */
                { "subvol=@data", "rw,subvolid=256,subvol=/@data", "" },
                { "subvol=/@data", "rw,subvolid=256,subvol=/@data", "" },
                { "subvol=@data", "rw,subvolid=256,subvol=/@data2", "subvol=@data " },
                { "subvol=@data", "rw,subvol=/@dat,a", "subvol=@data " },
                { "subvol=/", "rw,subvolid=5,subvol=/", "" },
                { "compress=zstd", "rw,compress=zstd:3", "" },
                { "compress-force=zstd", "rw,compress-force=zstd:3", "" },
                { "compress-force=zstd", "rw,compress=zstd:3", "compress-force=zstd " },
                { "compress", "rw,compress=zlib:3", "" },
                { "compress=zstd:9", "rw,compress=zstd:3", "compress=zstd:9 " },
                { "compress=z", "rw,compress=zstd:3", "compress=z " },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(mount_options_freep) MountOptions *o = NULL;
                _cleanup_(strv_freep) char **missing = NULL;
                _cleanup_free_ char *error = NULL, *joined = strdup("");

                test_row(rows[i][0]);
                ASSERT_OK(mount_options_parse(rows[i][0], &o, &error));
                ASSERT_OK(mount_options_missing(o, rows[i][1], &missing));
                for (char **word = missing; word && *word; word++) {
                        char *longer = text_format("%s%s ", joined, *word);

                        free(joined);
                        joined = longer;
                }
                ASSERT_STR(joined, rows[i][2]);
        }
}

TEST_MAIN(TEST(good), TEST(params), TEST(bad), TEST(limits), TEST(read_only), TEST(defaults),
          TEST(missing))
