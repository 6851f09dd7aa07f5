/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of an entry.  Each lies in the buffer as
 *
 *     length of the name (2) | length of the value (4) | name | value
 *
 * in the machine's order: they never leave the process in this form.
 */
#include "snapshot/entry_internal.h"

enum {
    NAME_LENGTH_BYTES = sizeof(uint16_t),
    HEAD_BYTES = sizeof(uint16_t) + sizeof(uint32_t),
};

bool entry_xattrs_next(struct slice xattrs, size_t *at, struct slice *name_out,
                       struct slice *value_out)
{
    const char *bytes = (const char *)xattrs.data + *at;
    size_t left = xattrs.length - *at;
    uint16_t name_length;
    uint32_t value_length;
    if (left < HEAD_BYTES)
        return false;
    memcpy(&name_length, bytes, sizeof(name_length));
    memcpy(&value_length, bytes + NAME_LENGTH_BYTES, sizeof(value_length));
    left -= HEAD_BYTES;
    if (left < name_length || left - name_length < value_length)
        return false;
    *name_out = slice_of(bytes + HEAD_BYTES, name_length);
    *value_out = slice_of(bytes + HEAD_BYTES + name_length, value_length);
    *at += HEAD_BYTES + name_length + value_length;
    return true;
}

static bool is_name(struct slice name)
{
    return name.length > 0 && name.length <= ENTRY_NAME_MAX_BYTES &&
           memchr(name.data, '\0', name.length) == NULL;
}

bool entry_xattrs_are_packed(struct slice xattrs)
{
    struct slice name, value;
    size_t at = 0, count = 0;
    if (xattrs.length == 0)
        return true;
    while (entry_xattrs_next(xattrs, &at, &name, &value))
        if (!is_name(name) || ++count > ENTRY_XATTRS_MAX)
            return false;
    return at == xattrs.length && at - count * HEAD_BYTES <= ENTRY_XATTRS_MAX_BYTES;
}

/* Take the one of that name out; how many others there are. */
static size_t take_out(struct buf *xattrs, struct slice name)
{
    struct slice found, value;
    size_t count = 0;
    for (size_t at = 0, start = 0; entry_xattrs_next(buf_slice(xattrs), &at, &found, &value);
         start = at) {
        if (!slice_equal(found, name)) {
            count++;
            continue;
        }
        memmove(xattrs->data + start, xattrs->data + at, xattrs->length - at);
        buf_truncate(xattrs, xattrs->length - (at - start));
        at = start;
    }
    return count;
}

int entry_xattrs_set(struct buf *xattrs, struct slice name, struct slice value, struct error *err)
{
    if (!is_name(name))
        return error_set(err, ERROR_INVALID, "an extended attribute with an impossible name");
    size_t count = take_out(xattrs, name);
    size_t taken = xattrs->length - count * HEAD_BYTES;
    if (count == ENTRY_XATTRS_MAX || value.length > ENTRY_XATTRS_MAX_BYTES ||
        taken + name.length + value.length > ENTRY_XATTRS_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "more than %d extended attributes, or %d bytes of them",
                         ENTRY_XATTRS_MAX, ENTRY_XATTRS_MAX_BYTES);
    uint16_t name_length = (uint16_t)name.length;
    uint32_t value_length = (uint32_t)value.length;
    buf_add(xattrs, &name_length, sizeof(name_length));
    buf_add(xattrs, &value_length, sizeof(value_length));
    buf_add(xattrs, name.data, name.length);
    buf_add(xattrs, value.data, value.length);
    return 0;
}
