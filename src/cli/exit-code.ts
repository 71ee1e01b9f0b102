/** The path failed: nobody knows the command's own code. */
export const PATH_FAILURE_CODE = 125;
