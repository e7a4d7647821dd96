/* Stands in for a room that has no source yet, so that every room is a library from the start. */
typedef int tm_room_is_empty;
