/* lib_string.h - the string functions that live in files of their own; see lib_string.c. */
#ifndef BINDINGS_LIB_STRING_H
#define BINDINGS_LIB_STRING_H

#include "bindings/sandbox_internal.h"

int string_find(lua_State *L);
int string_match(lua_State *L);
int string_gmatch(lua_State *L);
int string_gsub(lua_State *L);

int string_format(lua_State *L);

int string_pack(lua_State *L);
int string_unpack(lua_State *L);
int string_packsize(lua_State *L);

#endif
