/** A page that is nothing but the component, for a browser: `#api=…&token=…` says where and who. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import StreamChatComponent from "../../StreamChatComponent";

const given = new URLSearchParams(location.hash.slice(1));
const [apiUrl, authToken] = [given.get("api") ?? "", given.get("token") ?? ""];
const root = document.getElementById("root");
if (root === null) throw new Error("the page has no root");
createRoot(root).render(
  <StrictMode>
    <StreamChatComponent apiUrl={apiUrl} authToken={authToken} conversationId={given.get("conversation") ?? undefined} />
  </StrictMode>,
);
