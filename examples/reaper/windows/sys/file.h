/* see ../posix.h */
