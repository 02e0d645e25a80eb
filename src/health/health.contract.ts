/** Whether the process works. */
export class Health {
  /** ok, or what is missing */
  status: string;
}
